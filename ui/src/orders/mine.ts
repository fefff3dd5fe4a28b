import { storage } from '../lib/storage'

const KEPT = 'kartshoppe.orders'
const AT_MOST = 100

type Remembered = { orderId: string; useCdc: boolean }

function read(): Remembered[] {
  try {
    const value: unknown = JSON.parse(storage.get(KEPT) ?? '[]')
    return Array.isArray(value) ? (value as Remembered[]) : []
  } catch {
    return []
  }
}

/** Notes how this browser placed an order: the order itself does not tell. */
export function rememberOrder(orderId: string, useCdc: boolean): void {
  storage.set(KEPT, JSON.stringify([{ orderId, useCdc }, ...read().filter((order) => order.orderId !== orderId)].slice(0, AT_MOST)))
}

/** Whether the order was placed here, and if so whether it asked for change data capture. */
export function recall(orderId: string): Remembered | undefined {
  return read().find((order) => order.orderId === orderId)
}
