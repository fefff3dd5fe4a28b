import { count } from '../lib/locale'
import { cents, money } from '../lib/money'
import type { ProductChange } from '../wire'

/** Changes kept for one page: an hour of a busy product. */
const AT_MOST = 500

const keyOf = (change: ProductChange) => `${change.life}/${change.version}/${change.type}`

/** `known` with a pushed change, oldest first, unless it is there already. */
export function withChange<T extends ProductChange>(known: readonly T[], change: T): T[] {
  if (known.some((other) => keyOf(other) === keyOf(change))) return [...known]
  return [...known, change].slice(-AT_MOST)
}

/** Changes a shopper cares about, newest first. */
export function recentFirst(changes: readonly ProductChange[]): ProductChange[] {
  return changes.filter((change) => textOf(change) !== null).toSorted((a, b) => b.timestamp - a.timestamp || b.version - a.version)
}

/** Why a change happened, as far as shoppers care. */
export type Reason = 'order' | 'restock' | 'correction' | 'price' | 'added' | 'removed'

const REASONS: ReadonlySet<string> = new Set<Reason>(['order', 'restock', 'correction', 'price', 'added', 'removed'])

/** The reason of a change, or null for what no shopper sees. */
export function reasonOf({ reason }: ProductChange): Reason | null {
  return REASONS.has(reason) ? (reason as Reason) : null
}

/** One change in words, or null if it is none that can be seen. */
export function textOf(change: ProductChange): string | null {
  const { previousInventory, currentInventory } = change
  const units = currentInventory - (previousInventory ?? currentInventory)
  const last = currentInventory === 0 ? ', the last' : ''
  switch (reasonOf(change)) {
    case 'price':
      return 'New price'
    case 'added':
      return 'New in the shop'
    case 'removed':
      return 'No longer sold'
    case 'restock':
      return units > 0 ? `+${count(units)} restocked` : null
    case 'order':
      return units < 0 ? `${count(-units)} sold${last}` : null
    case 'correction':
      return units === 0 ? null : `Corrected ${units < 0 ? '−' : '+'}${count(Math.abs(units))}`
    case null:
      return null
  }
}

/** What the change left: the price before and after, or the units in stock. */
export function resultOf({ reason, previousPrice, currentPrice, currentInventory }: ProductChange): string {
  if (reason !== 'price') return `${count(currentInventory)} left`
  return previousPrice === null ? money(currentPrice) : `${money(previousPrice)} → ${money(currentPrice)}`
}

/** The shortest course that is drawn, in milliseconds. */
const SHORTEST_MS = 60_000

/** Where the course of a product begins: at `hourAgo`, or where it came to the shop after that. */
export function courseFrom(changes: readonly ProductChange[], hourAgo: number, now: number): number {
  const [first] = changes
  return first?.type === 'PRODUCT_ADDED' ? Math.max(hourAgo, Math.min(first.timestamp, now - SHORTEST_MS)) : hourAgo
}

/** What is drawn of a product over time, in units or in dollars. */
export type Series = 'stock' | 'price'
/** (time in epoch milliseconds, value): from there on the value holds. */
export type Corner = readonly [at: number, value: number]

function stepOf(series: Series, change: ProductChange): { at: number; before: number | null; after: number | null } {
  const at = change.timestamp
  // Before it came there was nothing, neither units nor a price.
  if (change.type === 'PRODUCT_ADDED') return { at, before: null, after: series === 'stock' ? change.currentInventory : change.currentPrice }
  if (series === 'stock') return { at, before: change.previousInventory, after: change.currentInventory }
  return { at, before: change.previousPrice, after: change.currentPrice }
}

/** Corners of a course between `from` and `to`, for a step line; flat at `current` if nothing moved. */
export function courseOf(changes: readonly ProductChange[], series: Series, current: number, from: number, to: number): Corner[] {
  const steps = changes
    .filter(({ timestamp }) => timestamp >= from)
    .toSorted((a, b) => a.timestamp - b.timestamp || a.version - b.version)
    .map((change) => stepOf(series, change))
    .filter(({ before, after }) => after !== null && (before === null || cents(before) !== cents(after)))
  const [first] = steps
  let value = first ? (first.before ?? first.after ?? current) : current
  const corners: Corner[] = [[from, value]]
  for (const { at, after } of steps) {
    if (after === null || cents(after) === cents(value)) continue
    corners.push([at, after])
    value = after
  }
  corners.push([Math.max(to, steps.at(-1)?.at ?? to), value])
  return corners
}
