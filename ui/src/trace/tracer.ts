import type { PageSpan } from '../wire'

/** Spans wait this long, in milliseconds, or until there are so many. */
const BATCH_MS = 2_000
const BATCH_SIZE = 40

const ROUTE = '/api/ecommerce/traces'
const TRACEPARENT = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/

let batch: PageSpan[] = []
let timer: ReturnType<typeof setTimeout> | undefined

const now = (): number => performance.timeOrigin + performance.now()

function randomHex(bytes: number): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(bytes)), (byte) => byte.toString(16).padStart(2, '0')).join('')
}

/** A click that orders: its `traceparent` goes with the request, and it ends with the answer. */
export function clickCheckout(): { traceparent: string; end: (failed: boolean) => void } {
  const span = { name: 'click checkout', traceparent: `00-${randomHex(16)}-${randomHex(8)}-01`, startMs: now() }
  return { traceparent: span.traceparent, end: (failed) => add({ ...span, endMs: now(), failed }) }
}

/** A frame of a product: if its trace is sampled, the span lasts until the page is drawn with it. */
export function repaintProduct(traceparent: unknown, productId: string): void {
  const [, traceId, parentSpanId, flags] = TRACEPARENT.exec(typeof traceparent === 'string' ? traceparent : '') ?? []
  if (traceId === undefined || parentSpanId === undefined || !(Number.parseInt(flags ?? '0', 16) & 1)) return
  // A page in the background is not drawn: nothing to measure.
  if (document.visibilityState !== 'visible') return
  const span = { name: 'repaint product', traceparent: `00-${traceId}-${randomHex(8)}-01`, parentSpanId, productId, startMs: now() }
  // The first callback comes before the frame is drawn, the task after it.
  requestAnimationFrame(() => setTimeout(() => add({ ...span, endMs: now() })))
}

function add(span: PageSpan): void {
  batch.push(span)
  if (batch.length >= BATCH_SIZE) send()
  else timer ??= setTimeout(send, BATCH_MS)
}

/** Never waits and never fails: spans that can't be sent are dropped. A beacon outlives the page. */
function send(): void {
  clearTimeout(timer)
  timer = undefined
  if (batch.length === 0) return
  const body = JSON.stringify({ spans: batch })
  batch = []
  navigator.sendBeacon(ROUTE, new Blob([body], { type: 'application/json' }))
}

addEventListener('pagehide', send)
