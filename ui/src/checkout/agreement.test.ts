import { describe, expect, it } from 'vitest'

import { aCart, aLine } from '../testing'
import type { CartItem } from '../wire'
import { agreementOn, compare } from './agreement'

const cart = (total: number, ...items: CartItem[]) => aCart(items, { quote: { subtotal: 0, tax: 0, shipping: 0, totalAmount: total } })
const at = (price: number, line: CartItem) => ({ ...line, price })
const nothing = new Map<string, number>()

describe('what the shopper agreed to pay', () => {
  const agreement = agreementOn(cart(30, aLine('A', 2), aLine('B', 1)))
  const compared = (changed: ReturnType<typeof cart>, own: ReadonlyMap<string, number> = nothing) => compare(agreement, changed, own)

  it('stands while nothing changes, to the cent', () => {
    expect(compared(cart(30.000001, aLine('A', 2), aLine('B', 1)))).toEqual({ is: 'same' })
  })

  it('follows quantities that the shopper changed here', () => {
    expect(compared(cart(50, aLine('A', 4), aLine('B', 1)), new Map([['A', 4]]))).toEqual({ is: 'own' })
    expect(compared(cart(20, aLine('A', 2)), new Map([['B', 0]]))).toEqual({ is: 'own' })
  })

  it.each([
    ['a price', cart(99, at(44.5, aLine('A', 2)), aLine('B', 1)), nothing],
    ['a lower price', cart(20, at(5, aLine('A', 2)), aLine('B', 1)), nothing],
    ['a quantity of another tab', cart(50, aLine('A', 4), aLine('B', 1)), nothing],
    ['a line of another tab', cart(40, aLine('A', 2), aLine('B', 1), aLine('C', 1)), nothing],
    ['a line that went', cart(20, aLine('A', 2)), nothing],
    ['shipping or tax', cart(36, aLine('A', 2), aLine('B', 1)), nothing],
    ['a price, with an own change at the same time', cart(200, at(45, aLine('A', 4)), aLine('B', 1)), new Map([['A', 4]])],
    ['a price that hides behind an own change elsewhere', cart(31, at(5, aLine('A', 2)), aLine('B', 3)), new Map([['B', 3]])],
    ['prices that cancel out', cart(30, at(5, aLine('A', 2)), at(20, aLine('B', 1))), nothing],
  ])('does not follow %s', (_, changed, own) => expect(compared(changed, own).is).toBe('changed'))

  it('says what was shown, what it is now, and which lines did it', () => {
    expect(compared(cart(40, at(15, aLine('A', 2)), aLine('B', 1)))).toEqual({
      is: 'changed',
      from: 30,
      to: 40,
      lines: [{ productId: 'A', before: { name: 'A', price: 10, quantity: 2 }, now: { name: 'A', price: 15, quantity: 2 } }],
    })
  })
})
