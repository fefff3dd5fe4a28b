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
