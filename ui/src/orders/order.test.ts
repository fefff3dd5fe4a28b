import { describe, expect, it } from 'vitest'

import { anOrder } from '../testing'
import type { OrderItem } from '../wire'
import { dueOf, isSettled, newerOrder, outcomeOf, withOrder } from './order'

const item = (fields: Partial<OrderItem>): OrderItem => ({ orderItemId: 'i', productId: 'A', productName: 'A', price: 1, quantity: 3, subtotal: 3, imageUrl: '', addedAt: 0, allocated: null, shortfall: null, settledAt: null, ...fields })

describe('orders', () => {
  const pending = anOrder({ updatedAt: 9 })
  const confirmed = anOrder({ status: 'CONFIRMED', updatedAt: 5 })

  it('settles once and never goes back, whatever the clocks say', () => {
    expect(newerOrder(pending, confirmed)).toBe(confirmed)
    expect(newerOrder(confirmed, pending)).toBe(confirmed)
    expect(isSettled(newerOrder(undefined, pending))).toBe(false)
  })

  it('takes the later of two states of the same kind', () => {
    const later = anOrder({ updatedAt: 10 })
    expect(newerOrder(later, pending)).toBe(later)
    expect(newerOrder(pending, later)).toBe(later)
  })

  it.each([
    [{ allocated: null }, 'waiting'],
    [{ allocated: 3 }, 'full'],
    [{ allocated: 1 }, 'partial'],
    [{ allocated: 0 }, 'none'],
  ])('item %j is %s', (fields, outcome) => expect(outcomeOf(item(fields))).toBe(outcome))
})

describe('orders of other tabs', () => {
  const old = anOrder({ orderId: 'old', createdAt: 1 })

  it('are new here when they are pushed, the newest first', () => {
    const incoming = anOrder({ orderId: 'new', createdAt: 2 })
    expect(withOrder([old], incoming).map(({ orderId }) => orderId)).toEqual(['new', 'old'])
    expect(withOrder([], incoming)).toEqual([incoming])
  })

  it('are not doubled and go on', () => {
    const settled = anOrder({ orderId: 'old', createdAt: 1, status: 'CONFIRMED' })
    expect(withOrder([old], settled)).toEqual([settled])
  })
})

const order = (status: 'PENDING' | 'CONFIRMED' | 'BACKORDERED' | 'REJECTED', ...allocated: (number | null)[]) =>
  anOrder({ status, subtotal: 60, tax: 4.8, shipping: 5.99, totalAmount: 70.79, items: allocated.map((units) => item({ price: 10, allocated: units })) })

describe('what is left to pay', () => {
  it('is what was asked for while it is pending or came in full', () => {
    expect(dueOf(order('PENDING', null, null)).totalAmount).toBe(70.79)
    expect(dueOf(order('CONFIRMED', 3, 3)).totalAmount).toBe(70.79)
  })

  it('is nothing where nothing was reserved', () => {
    expect(dueOf(order('REJECTED', 0, 0))).toEqual({ subtotal: 0, tax: 0, shipping: 0, totalAmount: 0 })
  })

  it('is the reserved part, with its tax', () => {
    expect(dueOf(order('BACKORDERED', 3, 1))).toEqual({ subtotal: 40, tax: 3.2, shipping: 5.99, totalAmount: 49.19 })
  })
})
