/** How often a hidden page is brought up to date, in milliseconds: browsers give it no frames. */
const HIDDEN_EVERY_MS = 1_000

/** Calls `act` in an animation frame after it was asked for, at most once in `everyMs`, however often that was. */
export class Pulse {
  readonly #act: () => void
  readonly #everyMs: number
  #last = Number.NEGATIVE_INFINITY
  #asked = false

  constructor(act: () => void, everyMs: number) {
    this.#act = act
    this.#everyMs = everyMs
  }

  readonly ask = (): void => {
    if (this.#asked) return
    this.#asked = true
    const wait = this.#last + this.#everyMs - Date.now()
    if (document.hidden) setTimeout(this.#beat, Math.max(HIDDEN_EVERY_MS, wait))
    else if (wait > 0) setTimeout(() => (document.hidden ? this.#beat() : requestAnimationFrame(this.#beat)), wait)
    else requestAnimationFrame(this.#beat)
  }

  readonly #beat = (): void => {
    this.#asked = false
    this.#last = Date.now()
    this.#act()
  }
}
