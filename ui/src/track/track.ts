import { shop } from '../api/shop'
import { identity } from '../lib/identity'
import { uuid } from '../lib/uuid'
import type { TrackedEvent } from '../wire'

export type EventType =
  | 'PAGE_VIEW'
  | 'PRODUCT_VIEW'
  | 'PRODUCT_SEARCH'
  | 'CATEGORY_BROWSE'
  | 'SORT_CHANGE'
  | 'ADD_TO_CART'
  | 'REMOVE_FROM_CART'
  | 'UPDATE_CART_QUANTITY'
  | 'CHECKOUT_START'
  | 'ORDER_PLACED'

/** A batch is sent this long after its first event, in milliseconds, or when it is full. */
const BATCH_MS = 2_000
const BATCH_SIZE = 20

let batch: TrackedEvent[] = []
let timer: ReturnType<typeof setTimeout> | undefined

/** Notes what the shopper did. Never waits and never fails: an event that can't be sent is dropped. */
export function track(eventType: EventType, fields: Record<string, unknown> = {}): void {
  batch.push({
    ...fields,
    eventId: uuid(),
    ...identity,
    eventType,
    timestamp: Date.now(),
    metadata: { userAgent: navigator.userAgent, referrer: document.referrer, url: location.href, screenResolution: `${screen.width}x${screen.height}` },
  })
  if (batch.length >= BATCH_SIZE) flush()
  else timer ??= setTimeout(flush, BATCH_MS)
}

function take(): TrackedEvent[] {
  clearTimeout(timer)
  timer = undefined
  const events = batch
  batch = []
  return events
}

function flush(): void {
  const events = take()
  if (events.length > 0) shop.track({ events, ...identity }).catch(() => undefined)
}

/** The page goes away: a beacon outlives it. */
export function flushAtEnd(): void {
  const events = take()
  if (events.length === 0) return
  const body = new Blob([JSON.stringify({ events, ...identity })], { type: 'application/json' })
  navigator.sendBeacon('/api/ecommerce/events', body)
}
