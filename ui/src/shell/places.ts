/** Places kept: more steps than one goes back. */
const AT_MOST = 60
const KEPT = 'kartshoppe.places'
/** How long a page may take to grow to where it was, in milliseconds: its answers are on their way. */
const PATIENCE_MS = 15_000
/** Frames in a row in which the place must hold: cards that come into view get their height only then. */
const STEADY_FRAMES = 3

/**
 * How far the view was scrolled, and the product at its top with its distance from the window's edge, and that of the page of the list
 * that holds it: heights above may differ, and far pages hold no products.
 */
type Place = { y: number; anchor: { productId: string; top: number; page: string; pageTop: number } | null }

/** How the page came to its address: loaded, by a link, by the browser's Back or Forward, or without a history entry of its own. */
export type Arrival = 'load' | 'push' | 'pop' | 'replace'

const places = new Map<string, Place>(read())
let entry = ''
let arrival: Arrival = 'load'
let giveUp: (() => void) | null = null

/** How the page came to where it is. */
export function lastArrival(): Arrival {
  return arrival
}

/** Whether the view goes back to a place of its own further down: the page has to be there as it was. */
export function isRestoring(): boolean {
  return (arrival === 'load' || arrival === 'pop') && (places.get(entry)?.y ?? 0) > 0
}

/**
 * Keeps for each history entry where its view stood, also through a reload. The browser's own memory does not do: it gives up
 * when the list that it scrolled is not there at once.
 */
export function keepPlaces(): void {
  history.scrollRestoration = 'manual'
  enter()
  // In the capture phase: before the router renders, while the old page still stands.
  addEventListener('pushState', () => leave('push'), true)
  addEventListener('popstate', () => leave('pop'), true)
  addEventListener('replaceState', () => hasKey() || leave('replace'), true)
  addEventListener('pagehide', write)
}

/** Brings the view back to where it stood in this history entry, as soon as the page is long enough; lets go when the shopper acts. */
export function restorePlace(): void {
  giveUp?.()
  const place = places.get(entry)
  if (!place) return
  const started = performance.now()
  let steady = 0
  let frame = 0
  const step = () => {
    steady = put(place) ? steady + 1 : 0
    if (steady < STEADY_FRAMES && performance.now() - started < PATIENCE_MS) frame = requestAnimationFrame(step)
    else stop()
  }
  const stop = () => {
    cancelAnimationFrame(frame)
    for (const act of ['wheel', 'touchstart', 'pointerdown', 'keydown']) removeEventListener(act, stop)
    giveUp = null
  }
  for (const act of ['wheel', 'touchstart', 'pointerdown', 'keydown']) addEventListener(act, stop, { passive: true })
  giveUp = stop
  step()
}

/** Scrolls towards `place` and says whether the view was there already. */
function put({ y, anchor }: Place): boolean {
  const card = anchor && cards().find((element) => element.dataset['product'] === anchor.productId)
  const block = anchor && document.querySelector(`main [data-page="${anchor.page}"]`)
  const by = card ? topOf(card) - anchor.top : block ? topOf(block) - anchor.pageTop : y - scrollY
  if (Math.abs(by) >= 1) scrollBy({ top: by, behavior: 'instant' })
  return Math.abs(by) < 1 && (!anchor || card !== undefined)
}

function topOf(element: Element): number {
  return element.getBoundingClientRect().top
}

function cards(): HTMLElement[] {
  return [...document.querySelectorAll<HTMLElement>('main li[data-product]')]
}

function leave(by: Arrival): void {
  giveUp?.()
  note()
  arrival = by
  enter(by === 'replace')
}

/** The entry that the page is now in gets a key, unless it came with one. `same`: it is still the entry it was. */
function enter(same = false): void {
  if (!same) entry = hasKey() ?? crypto.getRandomValues(new Uint32Array(2)).join('-')
  const state: unknown = history.state
  if (hasKey() === null) history.replaceState({ ...(typeof state === 'object' ? state : {}), place: entry }, '')
}

function hasKey(): string | null {
  const state = history.state as { place?: unknown } | null
  return typeof state?.place === 'string' ? state.place : null
}

function note(): void {
  const first = scrollY > 0 ? cards().find((element) => element.getBoundingClientRect().bottom > 0) : undefined
  const block = first?.closest<HTMLElement>('[data-page]')
  const anchor = first ? { productId: first.dataset['product'] ?? '', top: topOf(first), page: block?.dataset['page'] ?? '', pageTop: block ? topOf(block) : 0 } : null
  places.delete(entry)
  places.set(entry, { y: scrollY, anchor })
}

function write(): void {
  note()
  try {
    sessionStorage.setItem(KEPT, JSON.stringify([...places].slice(-AT_MOST)))
  } catch {
    // A reload then starts at the top.
  }
}

function read(): [string, Place][] {
  try {
    return JSON.parse(sessionStorage.getItem(KEPT) ?? '[]') as [string, Place][]
  } catch {
    return []
  }
}
