import type { ProductChange } from '../wire'

/** Changes kept for one page: an hour of a busy product. */
const AT_MOST = 500

const keyOf = (change: ProductChange) => `${change.life}/${change.version}/${change.type}`

/** `known` with a pushed change, oldest first, unless it is there already. */
export function withChange(known: readonly ProductChange[], change: ProductChange): ProductChange[] {
  if (known.some((other) => keyOf(other) === keyOf(change))) return [...known]
  return [...known, change].slice(-AT_MOST)
}

/** Changes a shopper cares about, newest first. */
export function recentFirst(changes: readonly ProductChange[]): ProductChange[] {
  return changes.filter((change) => textOf(change) !== null).toSorted((a, b) => b.timestamp - a.timestamp || b.version - a.version)
}

/** One change in words, or null if it is none that can be seen. */
export function textOf({ type, previousInventory, currentInventory }: ProductChange): string | null {
  const units = currentInventory - (previousInventory ?? currentInventory)
  switch (type) {
    case 'PRICE_CHANGED':
      return 'New price'
    case 'PRODUCT_ADDED':
      return 'New in the shop'
    case 'PRODUCT_REMOVED':
      return 'Taken off the shelf'
    case 'BACK_IN_STOCK':
      return `Back in stock, ${units} came in`
    case 'INVENTORY_INCREASED':
      return `${units} came in`
    case 'INVENTORY_DECREASED':
      return `${-units} went out`
    case 'OUT_OF_STOCK':
      return units < 0 ? `The last ${units === -1 ? 'one' : -units} went out` : null
    default:
      return null
  }
}

/** The highest price within `changes` that is above `now`: what the product was, for a was/now price. */
export function priceBefore(changes: readonly ProductChange[], now: number): number | null {
  const prices = changes.flatMap(({ type, previousPrice }) => (type === 'PRICE_CHANGED' && previousPrice !== null ? [previousPrice] : []))
  const last = prices.at(-1)
  return last !== undefined && last > now ? last : null
}

/** The shortest course that is drawn, in milliseconds. */
const SHORTEST_MS = 60_000

/** Where the course of a product begins: at `hourAgo`, or where it came to the shop after that. */
export function courseFrom(changes: readonly ProductChange[], hourAgo: number, now: number): number {
  const [first] = changes
  return first?.type === 'PRODUCT_ADDED' ? Math.max(hourAgo, Math.min(first.timestamp, now - SHORTEST_MS)) : hourAgo
}

/** Corners of the stock's course between `from` and `to` as (time, stock), for a step line. Empty if nothing moved. */
export function courseOf(changes: readonly ProductChange[], from: number, to: number): [number, number][] {
  const steps = changes
    .filter((change) => change.timestamp >= from && change.previousInventory !== null && change.previousInventory !== change.currentInventory)
    .toSorted((a, b) => a.timestamp - b.timestamp || a.version - b.version)
  const [first] = steps
  const last = steps.at(-1)
  if (!first || !last) return []
  const corners: [number, number][] = [[from, first.previousInventory ?? 0]]
  for (const step of steps) corners.push([step.timestamp, step.currentInventory])
  corners.push([Math.max(to, last.timestamp), last.currentInventory])
  return corners
}
