import type { Cart, CartItem, Product } from '../wire'

/** Quantities that the shopper asked for and the server has not confirmed yet; 0 = remove the line. */
export type Wishes = ReadonlyMap<string, number>

/** A line as the page shows it: with `waiting`, the quantity is the shopper's wish, and price and sums are not yet the server's. */
export type CartLine = CartItem & { waiting: boolean }

/** Units of a product on their way into the cart: `sent` on top of the `base` that the cart held before, the others after them. */
export type Addition = { readonly product: AddedProduct; readonly base: number; readonly sent: number; readonly queued: number }
export type Additions = ReadonlyMap<string, Addition>
export type AddedProduct = Pick<Product, 'productId' | 'name' | 'price' | 'imageUrl'>

/** The cart's lines with the wishes laid over them. A line whose removal is asked for is not shown. */
export function linesOf(cart: Cart | undefined, wishes: Wishes): CartLine[] {
  return (cart?.items ?? []).flatMap((item): CartLine[] => {
    const wish = wishes.get(item.productId)
    if (wish === undefined || wish === item.quantity) return [{ ...item, waiting: false }]
    return wish <= 0 ? [] : [{ ...item, quantity: wish, waiting: true }]
  })
}

/** `lines` with what is on its way into the cart, as new lines at the end where there is none yet. */
export function withAdditions(lines: readonly CartLine[], additions: Additions): CartLine[] {
  const known = lines.map((line) => {
    const addition = additions.get(line.productId)
    return addition ? { ...line, quantity: unitsWith(line.quantity, addition), waiting: true } : line
  })
  const fresh = [...additions.values()]
    .filter(({ product }) => !lines.some((line) => line.productId === product.productId))
    .map((addition): CartLine => {
      const { productId, name, price, imageUrl } = addition.product
      return { productId, productName: name, price, imageUrl, quantity: unitsWith(0, addition), subtotal: 0, addedAt: 0, available: true, waiting: true }
    })
  return [...known, ...fresh]
}

/** The socket may bring the units that were sent before the answer does: they count once. */
function unitsWith(inCart: number, { base, sent, queued }: Addition): number {
  return (sent === 0 ? inCart : Math.max(inCart, base + sent)) + queued
}

/** The wishes that `cart` does not fulfil yet; the same map if that is all of them. */
export function unfulfilled(wishes: Wishes, cart: Cart): Wishes {
  const left = [...wishes].filter(([productId, wish]) => {
    const quantity = cart.items.find((item) => item.productId === productId)?.quantity ?? 0
    return quantity !== Math.max(0, wish)
  })
  return left.length === wishes.size ? wishes : new Map(left)
}

/** The later of two states of one cart; another cart replaces it. */
export function newerCart(known: Cart | undefined, incoming: Cart): Cart {
  return known && known.cartId === incoming.cartId && known.updatedAt > incoming.updatedAt ? known : incoming
}

export function unitsIn(lines: readonly { quantity: number }[]): number {
  return lines.reduce((units, line) => units + line.quantity, 0)
}
