import type { Order, OrderItem } from '../wire'

/** Whether the inventory has answered for every item. */
export function isSettled(order: Order): boolean {
  return order.status !== 'PENDING'
}

/** The later of two states of one order: an order settles once and never goes back. */
export function newerOrder(known: Order | undefined, incoming: Order): Order {
  if (!known || known.orderId !== incoming.orderId) return incoming
  if (isSettled(known) !== isSettled(incoming)) return isSettled(known) ? known : incoming
  return incoming.updatedAt >= known.updatedAt ? incoming : known
}

/** `known` with an order of this session that was pushed, newest first: one that was placed elsewhere is new here. */
export function withOrder(known: readonly Order[], incoming: Order): Order[] {
  if (!known.some(({ orderId }) => orderId === incoming.orderId)) return [incoming, ...known].toSorted((a, b) => b.createdAt - a.createdAt)
  return known.map((order) => (order.orderId === incoming.orderId ? newerOrder(order, incoming) : order))
}

export type ItemOutcome = 'waiting' | 'full' | 'partial' | 'none'

/** What the inventory said about one item. */
export function outcomeOf(item: OrderItem): ItemOutcome {
  if (item.allocated === null) return 'waiting'
  if (item.allocated >= item.quantity) return 'full'
  return item.allocated > 0 ? 'partial' : 'none'
}

/** The figures of an order, by what the inventory could reserve. */
export type Due = { subtotal: number; tax: number; shipping: number; totalAmount: number }

const toCents = (amount: number) => Math.round(amount * 100)

/**
 * What is left to pay of an order: nothing where nothing was reserved, the part that was reserved where not all of it was. Tax falls with the
 * goods, shipping stays as quoted while anything is shipped. The order's own figures while it is pending or came out in full.
 */
export function dueOf(order: Order): Due {
  const { subtotal, tax, shipping, totalAmount } = order
  if (order.status === 'PENDING' || order.status === 'CONFIRMED') return { subtotal, tax, shipping, totalAmount }
  const goods = order.items.reduce((sum, item) => sum + toCents(item.price) * (item.allocated ?? 0), 0)
  if (goods === 0) return { subtotal: 0, tax: 0, shipping: 0, totalAmount: 0 }
  const taxed = subtotal > 0 ? Math.round((toCents(tax) * goods) / toCents(subtotal)) : 0
  return { subtotal: goods / 100, tax: taxed / 100, shipping, totalAmount: (goods + taxed + toCents(shipping)) / 100 }
}
