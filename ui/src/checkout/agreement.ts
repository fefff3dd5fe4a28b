import { cents } from '../lib/money'
import type { Cart } from '../wire'

/** What the shopper was shown and has not objected to: the total, and the price and quantity of each line behind it. */
export type Agreement = { readonly total: number; readonly lines: ReadonlyMap<string, AgreedLine> }
export type AgreedLine = { readonly name: string; readonly price: number; readonly quantity: number }

/** A line that is not as it was agreed on; null = not there. */
export type LineChange = { readonly productId: string; readonly before: AgreedLine | null; readonly now: AgreedLine | null }

/** `own`: nothing differs but quantities that the shopper changed on this page. */
export type Comparison = { readonly is: 'same' } | { readonly is: 'own' } | { readonly is: 'changed'; readonly from: number; readonly to: number; readonly lines: readonly LineChange[] }

export function agreementOn(cart: Cart): Agreement {
  const lines = cart.items.map(({ productId, productName, price, quantity }) => [productId, { name: productName, price, quantity }] as const)
  return { total: cart.quote.totalAmount, lines: new Map(lines) }
}

/** How the cart differs from what was agreed on. `own`: the quantity that the shopper asked for last on this page, line by line. */
export function compare(agreement: Agreement, cart: Cart, own: ReadonlyMap<string, number>): Comparison {
  const now = agreementOn(cart)
  const changes = changesBetween(agreement.lines, now.lines)
  const foreign = changes.filter((change) => !isOwn(change, own))
  const sameTotal = cents(agreement.total) === cents(now.total)
  if (sameTotal && foreign.length === 0) return { is: changes.length > 0 ? 'own' : 'same' }
  if (foreign.length === 0 && changes.length > 0) return { is: 'own' }
  return { is: 'changed', from: agreement.total, to: now.total, lines: foreign }
}

function changesBetween(before: Agreement['lines'], now: Agreement['lines']): LineChange[] {
  const ids = new Set([...before.keys(), ...now.keys()])
  return [...ids]
    .map((productId) => ({ productId, before: before.get(productId) ?? null, now: now.get(productId) ?? null }))
    .filter((change) => change.before?.quantity !== change.now?.quantity || cents(change.before?.price ?? 0) !== cents(change.now?.price ?? 0))
}

function isOwn({ productId, before, now }: LineChange, own: ReadonlyMap<string, number>): boolean {
  const samePrice = before === null || now === null || cents(before.price) === cents(now.price)
  return samePrice && before !== null && own.get(productId) === (now?.quantity ?? 0)
}
