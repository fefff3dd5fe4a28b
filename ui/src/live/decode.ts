import type { Cart, ChangeReason, Envelope, Heartbeat, Order, Product, ProductChange, Status } from '../wire'

type Fields = Record<string, unknown>

const isFields = (value: unknown): value is Fields => typeof value === 'object' && value !== null && !Array.isArray(value)
const text = (value: unknown): string => (typeof value === 'string' ? value : '')
const number = (value: unknown): number => (typeof value === 'number' && Number.isFinite(value) ? value : 0)
const numberOrNull = (value: unknown): number | null => (typeof value === 'number' && Number.isFinite(value) ? value : null)

/** One frame, or null if the text is not an envelope. */
export function readEnvelope(frame: unknown): Envelope | null {
  if (typeof frame !== 'string') return null
  try {
    const value: unknown = JSON.parse(frame)
    return isFields(value) && typeof value['eventType'] === 'string' ? (value as Envelope) : null
  } catch {
    return null
  }
}

/** A product with every field in place, or null if it has no id. */
export function readProduct(value: unknown): Product | null {
  if (!isFields(value) || typeof value['productId'] !== 'string' || value['productId'] === '') return null
  return {
    productId: value['productId'],
    name: text(value['name']),
    description: text(value['description']),
    category: text(value['category']),
    brand: text(value['brand']),
    price: number(value['price']),
    inventory: number(value['inventory']),
    imageUrl: text(value['imageUrl']),
    tags: Array.isArray(value['tags']) ? value['tags'].filter((tag): tag is string => typeof tag === 'string') : [],
    rating: number(value['rating']),
    reviewCount: number(value['reviewCount']),
    life: number(value['life']),
    version: number(value['version']),
    detailsVersion: number(value['detailsVersion']),
    timestamp: number(value['timestamp']),
    ...readWas(value),
  }
}

/** The price before the last drop: both fields or none. */
function readWas(value: Fields): Pick<Product, 'wasPrice' | 'wasAt'> {
  const [wasPrice, wasAt] = [numberOrNull(value['wasPrice']), numberOrNull(value['wasAt'])]
  return wasPrice === null || wasAt === null ? {} : { wasPrice, wasAt }
}

export function readProducts(value: unknown): Product[] {
  if (!Array.isArray(value)) return []
  return value.map(readProduct).filter((product) => product !== null)
}

/** What changed, or null where the frame does not say. Revision and time are the product's unless it has its own. */
export function readChange(value: unknown, of: Pick<Product, 'life' | 'version' | 'timestamp'>): ProductChange | null {
  if (!isFields(value) || typeof value['type'] !== 'string') return null
  return {
    type: value['type'],
    previousInventory: numberOrNull(value['previousInventory']),
    currentInventory: number(value['currentInventory']),
    previousPrice: numberOrNull(value['previousPrice']),
    currentPrice: numberOrNull(value['currentPrice']),
    orderId: text(value['orderId']) || null,
    timestamp: numberOrNull(value['timestamp']) ?? of.timestamp,
    life: numberOrNull(value['life']) ?? of.life,
    version: numberOrNull(value['version']) ?? of.version,
    reason: readReason(value['reason']),
  }
}

const REASONS: readonly ChangeReason[] = ['order', 'restock', 'correction', 'price', 'added', 'removed', 'details', 'rejected', 'stale', 'other']

const readReason = (value: unknown): ChangeReason => REASONS.find((known) => known === value) ?? 'other'

export function readHeartbeat(value: unknown): Heartbeat {
  const fields = isFields(value) ? value : {}
  return { cursor: text(fields['cursor']) || null, status: readStatus(fields['status']), reload: fields['reload'] === true }
}

/** What runs, or null if `value` is something else. */
export function readStatus(value: unknown): Status | null {
  return isFields(value) && typeof value['inventory'] === 'string' ? (value as Status) : null
}

export function readCart(value: unknown): Cart | null {
  return isFields(value) && Array.isArray(value['items']) && isFields(value['quote']) ? (value as Cart) : null
}

export function readOrder(value: unknown): Order | null {
  return isFields(value) && typeof value['orderId'] === 'string' && Array.isArray(value['items']) ? (value as Order) : null
}
