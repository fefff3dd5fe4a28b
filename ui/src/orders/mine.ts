import { storage } from '../lib/storage'

const KEPT = 'kartshoppe.orders'
/** Enough to recognise the echo of one's own orders. */
const AT_MOST = 50

function read(): string[] {
  const kept = storage.get(KEPT)
  return kept ? kept.split(' ') : []
}

/** Notes an order that this browser placed, so that its own effect on stock is not announced as news. */
export function rememberOrder(orderId: string): void {
  storage.set(KEPT, [orderId, ...read()].slice(0, AT_MOST).join(' '))
}

export function isMine(orderId: string): boolean {
  return read().includes(orderId)
}

/** Calls `act` when another tab of this browser has placed an order. */
export function onOrderElsewhere(act: () => void): void {
  addEventListener('storage', ({ key }) => key === KEPT && act())
}
