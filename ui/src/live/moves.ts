import { count } from '../lib/locale'
import { money } from '../lib/money'
import { Observable } from '../lib/observable'
import type { Product, ProductChange } from '../wire'

/** One change of stock or price as the front page shows it. */
export type Move = { key: string; productId: string; name: string; imageUrl: string; text: string; detail: string; at: number }

/** Moves that the front page shows. */
export const KEPT = 6

/** The latest changes anywhere in the shop, newest first, one per product. Nothing here until the first is pushed. */
export const moves = new Observable<readonly Move[]>([])

export function remember(product: Product, change: ProductChange, now: number): void {
  const move = moveOf(product, change, now)
  if (move) moves.set(withMove(moves.get(), move))
}

/** Takes what the shop knows of the time before this page was there. */
export function recall(earlier: readonly { product: Product; change: ProductChange }[], now: number): void {
  const known = earlier.flatMap(({ product, change }) => moveOf(product, change, now) ?? [])
  const oldestFirst = [...known, ...moves.get()].toSorted((a, b) => a.at - b.at)
  moves.set(oldestFirst.reduce(withMove, [] as readonly Move[]))
}

export function withMove(known: readonly Move[], move: Move): readonly Move[] {
  return [move, ...known.filter((other) => other.productId !== move.productId)].slice(0, KEPT)
}

/** Null for a change of neither stock nor price. */
export function moveOf(product: Product, change: ProductChange, now: number): Move | null {
  const said = textOf(change)
  if (!said) return null
  const { productId, name, imageUrl } = product
  return { key: `${productId}/${change.life}/${change.version}`, productId, name, imageUrl, ...said, at: change.timestamp || now }
}

function textOf({ type, previousInventory, currentInventory, previousPrice, currentPrice, reason }: ProductChange): Pick<Move, 'text' | 'detail'> | null {
  if (type === 'PRODUCT_REMOVED') return null
  if (type === 'PRICE_CHANGED') return currentPrice === null ? null : { text: `Now ${money(currentPrice)}`, detail: previousPrice === null ? '' : `was ${money(previousPrice)}` }
  const units = previousInventory === null ? 0 : currentInventory - previousInventory
  if (units === 0) return null
  const detail = currentInventory > 0 ? `${count(currentInventory)} left` : 'sold out'
  if (reason === 'added') return { text: 'New in the shop', detail }
  if (units > 0) return { text: reason === 'correction' ? `Corrected +${count(units)}` : `+${count(units)} restocked`, detail }
  return { text: reason === 'order' ? `${count(-units)} sold` : `Corrected \u2212${count(-units)}`, detail }
}

/**
 * The moves on screen after one more tick: each keeps its place, and at most one place changes. `places` are oldest to newest as
 * they were filled; the newest move that none of them shows takes the place of its product's earlier one, or else the oldest's.
 */
export function nextPlaces(places: readonly Move[], latest: readonly Move[]): readonly Move[] {
  const move = latest.find(({ key }) => !places.some((shown) => shown.key === key))
  if (!move) return places
  const own = places.findIndex(({ productId }) => productId === move.productId)
  if (own >= 0) return move.at < (places[own]?.at ?? 0) ? places : places.with(own, move)
  if (places.length < KEPT) return [...places, move]
  const oldest = places.reduce((least, { at }, index) => (at < (places[least]?.at ?? 0) ? index : least), 0)
  return move.at < (places[oldest]?.at ?? 0) ? places : places.with(oldest, move)
}
