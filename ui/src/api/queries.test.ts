import { afterEach, describe, expect, it, vi } from 'vitest'

import { aCart, aLine, anOrder } from '../testing'
import { cartQuery, orderQuery, ordersQuery, queryClient } from './queries'
import { shop } from './shop'

afterEach(() => {
  vi.restoreAllMocks()
  queryClient.clear()
})

/** An answer that is on its way until it is let in. */
function onItsWay<T>(answer: T): { asked: () => Promise<T>; arrive: () => void } {
  const gates: (() => void)[] = []
  const promise = new Promise<T>((resolve) => {
    gates.push(() => resolve(answer))
  })
  return { asked: () => promise, arrive: () => gates.forEach((open) => open()) }
}

describe('what is pushed while an answer is on its way', () => {
  it('stays, if it is the later state of an order', async () => {
    const pending = anOrder({ orderId: 'o', status: 'PENDING' })
    const settled = anOrder({ orderId: 'o', status: 'CONFIRMED', updatedAt: 9 })
    const { asked, arrive } = onItsWay(pending)
    vi.spyOn(shop, 'order').mockImplementation(asked)
    queryClient.setQueryData(orderQuery('o').queryKey, pending)
    const answer = queryClient.fetchQuery(orderQuery('o'))
    queryClient.setQueryData(orderQuery('o').queryKey, settled)
    arrive()
    expect((await answer).status).toBe('CONFIRMED')

    vi.spyOn(shop, 'orders').mockResolvedValue([pending])
    expect((await queryClient.fetchQuery(ordersQuery)).map((order) => order.status)).toEqual(['CONFIRMED'])
  })

  it('stays, if it is the later cart', async () => {
    const { asked, arrive } = onItsWay(aCart([], { updatedAt: 1 }))
    vi.spyOn(shop, 'cart').mockImplementation(asked)
    const answer = queryClient.fetchQuery(cartQuery)
    queryClient.setQueryData(cartQuery.queryKey, aCart([aLine('p', 1)], { updatedAt: 2 }))
    arrive()
    expect((await answer).items).toHaveLength(1)
  })
})
