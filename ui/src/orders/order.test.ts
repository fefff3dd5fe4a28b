import { describe, expect, it } from 'vitest'

import { anOrder } from '../testing'
import type { OrderItem } from '../wire'
import { isSettled, newerOrder, outcomeOf, withOrder } from './order'

const item = (fields: Partial<OrderItem>): OrderItem => ({ orderItemId: 'i', productId: 'A', productName: 'A', price: 1, quantity: 3, subtotal: 3, payable: 3, imageUrl: '', addedAt: 0, allocated: null, shortfall: null, settledAt: null, ...fields })

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
