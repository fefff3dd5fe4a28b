import { expect, it } from 'vitest'

import { aProduct } from '../testing'
import { lowStock, stockOf, stockText } from './stock'

it.each([
  [10, false, false, 'in', '10 in stock'],
  [9, false, false, 'low', 'Only 9 left'],
  [0, false, false, 'out', 'Sold out'],
  [0, false, true, 'out', 'Sold out'],
  [5, false, true, 'back', 'Back in stock: 5'],
  [5, true, true, 'gone', 'No longer sold'],
])('%i units, removed %s, back %s: %s', (inventory, removed, back, stock, text) => {
  expect(stockOf({ product: aProduct({ inventory }), removed }, back)).toBe(stock)
  expect(stockText(stock as ReturnType<typeof stockOf>, inventory)).toBe(text)
})

it('takes what is low from the shop', () => {
  const live = { product: aProduct({ inventory: 12 }), removed: false }
  expect(stockOf(live, false)).toBe('in')
  lowStock.set(12)
  expect(stockOf(live, false)).toBe('low')
  lowStock.set(9)
})
