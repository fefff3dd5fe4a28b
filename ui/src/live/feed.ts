import { Observable } from '../lib/observable'
import type { Envelope, Heartbeat } from '../wire'
import { backoffMs } from './backoff'
import { readEnvelope, readHeartbeat } from './decode'

/** The subprotocol that adds heartbeats and resuming. */
export const SUBPROTOCOL = 'kartshoppe.v1'
/** The server beats every 5 s: two missed beats and some slack make the page stale, in milliseconds. */
export const STALE_AFTER_MS = 12_000
/** A socket that stays silent this long is given up and opened again, in milliseconds. */
export const GIVE_UP_AFTER_MS = 20_000
/** A socket that has not opened in this time is given up, in milliseconds. */
export const OPEN_WITHIN_MS = 10_000
/** Failed tries in a row after which the page no longer says "stale" but "offline". */
const OFFLINE_AFTER_TRIES = 3

/**
 * `connecting`: nothing came yet. `live`: up to date, beats come. `catching-up`: connected again, changes missed are
 * on their way. `stale`: figures are those of `since`. `offline`: likewise, and the server can't be reached.
 */
export type Connection = { readonly phase: 'connecting' | 'live' | 'catching-up' | 'stale' | 'offline'; readonly since: number }

/** The part of `WebSocket` that is used, so that tests can play the server. */
export type Socket = Pick<WebSocket, 'send' | 'close' | 'readyState' | 'onopen' | 'onmessage' | 'onclose'>

export type FeedOptions = {
  /** Address of the socket without its query. */
  url: string
  open: (url: string, subprotocol: string) => Socket
  /** Every frame but heartbeats, in order. */
  onFrame: (envelope: Envelope) => void
  onHeartbeat: (beat: Heartbeat) => void
  /** Connected, for the first time or again: what was not sent meanwhile can be sent now. */
  onOpen: () => void
  clock?: () => number
  random?: () => number
  isOnline?: () => boolean
}

const OPEN = 1

/**
 * The page's one socket. It reconnects with backoff and jitter, resumes from the last cursor, and knows whether what
 * the page shows is current: it is live from a sync or a heartbeat on, and stale when heartbeats stop.
 */
export class Feed {
  readonly connection: Observable<Connection>
  readonly #options: FeedOptions
  readonly #clock: () => number
  #socket: Socket | null = null
  #cursor: string | null = null
  #tries = 0
  #currentAt: number
  #retry: ReturnType<typeof setTimeout> | undefined
  #stale: ReturnType<typeof setTimeout> | undefined
  #giveUp: ReturnType<typeof setTimeout> | undefined

  constructor(options: FeedOptions) {
    this.#options = options
    this.#clock = options.clock ?? Date.now
    this.#currentAt = this.#clock()
    this.connection = new Observable<Connection>({ phase: 'connecting', since: this.#currentAt })
  }

  /** Connects, now, also when a later try was planned. Does nothing while a socket is open or opening. */
  readonly connect = (): void => {
    if (this.#socket) return
    clearTimeout(this.#retry)
    const query = this.#cursor === null ? '' : `?resume=${encodeURIComponent(this.#cursor)}`
    const socket = this.#options.open(this.#options.url + query, SUBPROTOCOL)
    this.#socket = socket
    this.#giveUpAfter(OPEN_WITHIN_MS)
    socket.onopen = () => this.#ifCurrent(socket, () => this.#opened())
    socket.onmessage = (message) => this.#ifCurrent(socket, () => this.#received(message.data))
    socket.onclose = () => this.#ifCurrent(socket, () => this.#lost())
  }

  /** Sends `message` if connected, and says whether it did. */
  send(message: unknown): boolean {
    if (this.#socket?.readyState !== OPEN) return false
    this.#socket.send(JSON.stringify(message))
    return true
  }

  /** The browser found the network again or the page came back to the front: don't wait for the next try. */
  readonly hurry = (): void => {
    this.#tries = 0
    this.connect()
  }

  /** The browser lost the network. */
  readonly networkLost = (): void => {
    this.#drop()
    this.#show('offline')
    this.#retryLater()
  }

  /** Closes for good, for tests and development reloads. */
  stop(): void {
    this.#drop()
    clearTimeout(this.#retry)
  }

  #ifCurrent(socket: Socket, act: () => void): void {
    if (socket === this.#socket) act()
  }

  #opened(): void {
    if (this.connection.get().phase !== 'connecting') this.#show('catching-up')
    this.#awaitBeat()
    this.#options.onOpen()
  }

  #received(data: unknown): void {
    const envelope = readEnvelope(data)
    if (!envelope) return
    if (envelope.eventType === 'HEARTBEAT') {
      const beat = readHeartbeat(envelope.payload)
      if (beat.cursor !== null) this.#cursor = beat.cursor
      this.#current()
      this.#options.onHeartbeat(beat)
      return
    }
    this.#options.onFrame(envelope)
    if (envelope.eventType === 'PRODUCT_CACHE_SYNC') this.#current()
  }

  /** All that happened up to now is on the page. */
  #current(): void {
    this.#tries = 0
    this.#currentAt = this.#clock()
    this.#show('live')
    this.#awaitBeat()
  }

  #awaitBeat(): void {
    clearTimeout(this.#stale)
    this.#stale = setTimeout(() => this.#show('stale'), STALE_AFTER_MS)
    this.#giveUpAfter(GIVE_UP_AFTER_MS)
  }

  #giveUpAfter(ms: number): void {
    clearTimeout(this.#giveUp)
    this.#giveUp = setTimeout(() => this.#lost(), ms)
  }

  #lost(): void {
    this.#drop()
    const online = this.#options.isOnline?.() ?? true
    this.#show(online && this.#tries < OFFLINE_AFTER_TRIES ? 'stale' : 'offline')
    this.#retryLater()
  }

  #retryLater(): void {
    clearTimeout(this.#retry)
    this.#retry = setTimeout(this.connect, backoffMs(this.#tries, (this.#options.random ?? Math.random)()))
    this.#tries += 1
  }

  #drop(): void {
    clearTimeout(this.#stale)
    clearTimeout(this.#giveUp)
    const socket = this.#socket
    this.#socket = null
    socket?.close()
  }

  #show(phase: Connection['phase']): void {
    const now = this.connection.get()
    if (phase === 'live' ? now.phase === 'live' : now.phase === phase && now.since === this.#currentAt) return
    this.connection.set({ phase, since: this.#currentAt })
  }
}
