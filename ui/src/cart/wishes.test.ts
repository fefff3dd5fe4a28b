import { describe, expect, it } from 'vitest'

import { aCart, aLine } from '../testing'
import { linesOf, newerCart, unfulfilled, unitsIn, withAdditions, type Addition } from './wishes'

describe('cart with wishes', () => {
  const cart = aCart([aLine('A', 2), aLine('B', 1)])

  it('shows the server’s lines when nothing is asked for', () => {
    expect(linesOf(cart, new Map())).toMatchObject([{ productId: 'A', quantity: 2, waiting: false }, { productId: 'B', quantity: 1, waiting: false }])
  })

  it('shows what is asked for, as waiting, and hides what is to be removed', () => {
    expect(linesOf(cart, new Map([['A', 5], ['B', 0]]))).toMatchObject([{ productId: 'A', quantity: 5, waiting: true }])
  })

  it('has no lines before the first cart', () => {
    expect(linesOf(undefined, new Map([['A', 1]]))).toEqual([])
  })

  it('forgets a wish only when the cart fulfils it', () => {
    const wishes = new Map([['A', 3], ['B', 0]])
    expect(unfulfilled(wishes, cart)).toBe(wishes)
    expect([...unfulfilled(wishes, aCart([aLine('A', 3), aLine('B', 1)]))]).toEqual([['B', 0]])
    expect(unfulfilled(wishes, aCart([aLine('A', 3)])).size).toBe(0)
  })

  it('takes the later cart, and another cart always', () => {
    const later = aCart([aLine('A', 9)], { updatedAt: 5 })
    expect(newerCart(later, cart)).toBe(later)
    expect(newerCart(cart, later)).toBe(later)
    const other = aCart([], { cartId: 'other' })
    expect(newerCart(later, other)).toBe(other)
    expect(newerCart(undefined, cart)).toBe(cart)
  })

  it('counts units, not lines', () => expect(unitsIn(cart.items)).toBe(3))
})

describe('what is on its way into the cart', () => {
  const product = { productId: 'A', name: 'Oak Stool', price: 4, imageUrl: '' }
  const shown = (inCart: number, addition: Partial<Addition>) =>
    unitsIn(withAdditions(linesOf(aCart(inCart > 0 ? [aLine('A', inCart)] : []), new Map()), new Map([['A', { product, base: 0, sent: 0, queued: 0, ...addition }]])))

  it('is a line at once', () => {
    const lines = withAdditions([], new Map([['A', { product, base: 0, sent: 1, queued: 4 }]]))
    expect(lines).toMatchObject([{ productId: 'A', productName: 'Oak Stool', quantity: 5, waiting: true }])
  })

  it('counts once, whether the socket or the answer brings it first', () => {
    expect(shown(2, { base: 2, sent: 1, queued: 3 })).toBe(6)
    expect(shown(3, { base: 2, sent: 1, queued: 3 })).toBe(6)
    expect(shown(3, { queued: 3 })).toBe(6)
  })
})
