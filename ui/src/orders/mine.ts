import { storage } from '../lib/storage'
import type { Order, ProductChange } from '../wire'

const KEPT = 'kartshoppe.orders'
/** Items: enough to recognise the echo of one's own orders. */
const AT_MOST = 200

function read(): string[] {
  const kept = storage.get(KEPT)
  return kept ? kept.split(' ') : []
}

/** Notes the marks of an order that this browser placed, so that its own effect on stock is not reported as news. */
export function rememberOrder({ items }: Order): void {
  storage.set(KEPT, [...items.map(({ orderMark }) => orderMark), ...read()].slice(0, AT_MOST).join(' '))
}

/** Whether this browser's own order caused a change. */
export function isMine({ orderMark }: ProductChange): boolean {
  return orderMark !== null && read().includes(orderMark)
}

/** Calls `act` when another tab of this browser has placed an order. */
export function onOrderElsewhere(act: () => void): void {
  addEventListener('storage', ({ key }) => key === KEPT && act())
}
