import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'

import type { Envelope, Heartbeat } from '../wire'
import { Feed, GIVE_UP_AFTER_MS, OPEN_WITHIN_MS, STALE_AFTER_MS, SUBPROTOCOL, type Socket } from './feed'

/** A socket whose server is the test. */
class Played implements Socket {
  readyState: Socket['readyState'] = 0
  sent: string[] = []
  closed = false
  onopen: WebSocket['onopen'] = null
  onmessage: WebSocket['onmessage'] = null
  onclose: WebSocket['onclose'] = null
  constructor(
    readonly url: string,
    readonly subprotocol: string,
  ) {}
  send(data: string) {
    this.sent.push(data)
  }
  close() {
    this.closed = true
    this.readyState = 3
  }
  opens() {
    this.readyState = 1
    this.onopen?.call(this as unknown as WebSocket, new Event('open'))
  }
  says(eventType: string, payload: unknown = {}) {
    this.saysText(JSON.stringify({ uuid: 'u', timestamp: 0, key: null, toUserId: null, eventType, payload }))
  }
  saysText(data: unknown) {
    this.onmessage?.call(this as unknown as WebSocket, { data } as MessageEvent)
  }
  beats(cursor: string, reload = false) {
    this.says('HEARTBEAT', { cursor, status: null, reload })
  }
  breaks() {
    this.readyState = 3
    this.onclose?.call(this as unknown as WebSocket, {} as CloseEvent)
  }
}

function setUp() {
  const sockets: Played[] = []
  const frames: Envelope[] = []
  const beats: Heartbeat[] = []
  let opened = 0
  let online = true
  const feed = new Feed({
    url: 'ws://shop/ecommerce/s/u',
    open: (url, subprotocol) => {
      const socket = new Played(url, subprotocol)
      sockets.push(socket)
      return socket
    },
    onFrame: (frame) => frames.push(frame),
    onHeartbeat: (beat) => beats.push(beat),
    onOpen: () => (opened += 1),
    random: () => 0,
    isOnline: () => online,
  })
  const last = () => {
    const socket = sockets.at(-1)
    if (!socket) throw new Error('no socket was opened')
    return socket
  }
  const connectLive = () => {
    feed.connect()
    last().opens()
    last().says('PRODUCT_CACHE_SYNC', { products: [] })
  }
  return { feed, sockets, frames, beats, last, connectLive, opened: () => opened, goOffline: () => (online = false), phase: () => feed.connection.get().phase }
}

beforeEach(() => vi.useFakeTimers({ now: 1_000_000 }))
afterEach(() => vi.useRealTimers())

describe('Feed', () => {
  it('offers the subprotocol, has no cursor at first, and is live from the sync on', () => {
    const { feed, last, phase, frames } = setUp()
    feed.connect()
    expect(last()).toMatchObject({ url: 'ws://shop/ecommerce/s/u', subprotocol: SUBPROTOCOL })
    last().opens()
    expect(phase()).toBe('connecting')
    last().says('PRODUCT_CACHE_SYNC', { products: [] })
    expect(phase()).toBe('live')
    expect(frames.map((frame) => frame.eventType)).toEqual(['PRODUCT_CACHE_SYNC'])
  })

  it('comes back with the last cursor and catches up before it is live', () => {
    const { connectLive, last, phase, sockets } = setUp()
    connectLive()
    last().beats('p0:7 p1:9')
    last().breaks()
    expect(phase()).toBe('stale')
    vi.advanceTimersByTime(500)
    expect(sockets).toHaveLength(2)
    expect(last().url).toBe('ws://shop/ecommerce/s/u?resume=p0%3A7%20p1%3A9')
    last().opens()
    expect(phase()).toBe('catching-up')
    last().says('PRODUCT_UPDATE', { productId: 'A' })
    expect(phase()).toBe('catching-up')
    last().beats('p0:8 p1:9')
    expect(phase()).toBe('live')
  })

  it('keeps its cursor when a heartbeat has none', () => {
    const { connectLive, last } = setUp()
    connectLive()
    last().beats('c1')
    last().says('HEARTBEAT', {})
    last().breaks()
    vi.advanceTimersByTime(500)
    expect(last().url).toContain('?resume=c1')
  })

  it('is stale when heartbeats stop, even while frames come, and gives the socket up later', () => {
    const { connectLive, last, phase, sockets } = setUp()
    connectLive()
    vi.advanceTimersByTime(STALE_AFTER_MS - 1)
    last().says('PRODUCT_UPDATE', { productId: 'A' })
    expect(phase()).toBe('live')
    vi.advanceTimersByTime(1)
    expect(phase()).toBe('stale')
    const silent = last()
    vi.advanceTimersByTime(GIVE_UP_AFTER_MS - STALE_AFTER_MS)
    expect(silent.closed).toBe(true)
    vi.advanceTimersByTime(500)
    expect(sockets).toHaveLength(2)
  })

  it('says since when it is stale: the last beat, not the moment it noticed', () => {
    const { feed, connectLive, last } = setUp()
    connectLive()
    vi.advanceTimersByTime(5_000)
    last().beats('c')
    vi.advanceTimersByTime(STALE_AFTER_MS)
    expect(feed.connection.get()).toEqual({ phase: 'stale', since: 1_005_000 })
  })

  it('is live again when beats come back on the same socket', () => {
    const { connectLive, last, phase } = setUp()
    connectLive()
    vi.advanceTimersByTime(STALE_AFTER_MS)
    last().beats('c')
    expect(phase()).toBe('live')
  })

  it('waits longer after each failed try and says offline after some, then starts afresh', () => {
    const { feed, last, phase, sockets, connectLive } = setUp()
    connectLive()
    last().breaks()
    for (const wait of [500, 1000, 2000, 4000]) {
      const before = sockets.length
      vi.advanceTimersByTime(wait - 1)
      expect(sockets).toHaveLength(before)
      vi.advanceTimersByTime(1)
      expect(sockets).toHaveLength(before + 1)
      last().breaks()
    }
    expect(phase()).toBe('offline')
    feed.hurry()
    last().opens()
    last().beats('c')
    expect(phase()).toBe('live')
    last().breaks()
    const before = sockets.length
    vi.advanceTimersByTime(500)
    expect(sockets).toHaveLength(before + 1)
  })

  it('gives up a socket that never opens', () => {
    const { feed, last, sockets } = setUp()
    feed.connect()
    const stuck = last()
    vi.advanceTimersByTime(OPEN_WITHIN_MS)
    expect(stuck.closed).toBe(true)
    vi.advanceTimersByTime(500)
    expect(sockets).toHaveLength(2)
  })

  it('receives nothing from a socket it gave up', () => {
    const { connectLive, last, frames, phase, sockets } = setUp()
    connectLive()
    const old = last()
    vi.advanceTimersByTime(GIVE_UP_AFTER_MS + 500)
    const received = frames.length
    old.says('PRODUCT_UPDATE', {})
    old.breaks()
    expect(frames).toHaveLength(received)
    expect(sockets).toHaveLength(2)
    expect(phase()).toBe('stale')
  })

  it('is offline at once when the browser is, and back at once when the network is', () => {
    const { feed, connectLive, phase, sockets } = setUp()
    connectLive()
    feed.networkLost()
    expect(phase()).toBe('offline')
    feed.hurry()
    expect(sockets).toHaveLength(2)
    feed.hurry()
    expect(sockets).toHaveLength(2)
  })

  it('is offline, not stale, when the socket breaks and the browser has no network', () => {
    const { connectLive, last, goOffline, phase } = setUp()
    connectLive()
    goOffline()
    last().breaks()
    expect(phase()).toBe('offline')
  })

  it('ignores what is no envelope', () => {
    const { connectLive, last, frames, phase } = setUp()
    connectLive()
    for (const junk of ['', '{', '[]', 'null', '"x"', '{"eventType":7}', new ArrayBuffer(2)]) last().saysText(junk)
    expect(frames).toHaveLength(1)
    expect(phase()).toBe('live')
  })

  it('passes on reload and reports when it opened', () => {
    const { connectLive, last, beats, opened } = setUp()
    connectLive()
    last().beats('c', true)
    expect(beats).toEqual([{ cursor: 'c', status: null, reload: true }])
    expect(opened()).toBe(1)
  })

  it('sends only while open', () => {
    const { feed, connectLive, last } = setUp()
    expect(feed.send({ a: 1 })).toBe(false)
    connectLive()
    expect(feed.send({ a: 1 })).toBe(true)
    expect(last().sent).toEqual(['{"a":1}'])
    last().breaks()
    expect(feed.send({ a: 2 })).toBe(false)
  })
})
