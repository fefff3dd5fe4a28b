import { Observable } from '../lib/observable'
import type { Product, ProductChange } from '../wire'

/** One change of stock or price as the shop's ticker shows it. */
export type Move = { key: string; productId: string; name: string; units: number; left: number; price: number | null; at: number }

const KEPT = 8

/** The latest changes anywhere in the shop, newest first, one per product. Nothing here until the first is pushed. */
export const moves = new Observable<readonly Move[]>([])

export function remember(product: Product, change: ProductChange, now: number): void {
  const move = moveOf(product, change, now)
  if (move) moves.set(withMove(moves.get(), move))
}

export function withMove(known: readonly Move[], move: Move): readonly Move[] {
  return [move, ...known.filter((other) => other.productId !== move.productId)].slice(0, KEPT)
}

/** Null for a change of neither stock nor price. */
export function moveOf(product: Product, change: ProductChange, now: number): Move | null {
  const units = change.previousInventory === null ? 0 : change.currentInventory - change.previousInventory
  const price = change.type === 'PRICE_CHANGED' ? change.currentPrice : null
  if ((units === 0 && price === null) || change.type === 'PRODUCT_REMOVED') return null
  const at = change.timestamp || now
  return { key: `${product.productId}/${change.life}/${change.version}`, productId: product.productId, name: product.name, units, left: change.currentInventory, price, at }
}
