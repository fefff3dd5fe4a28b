import { expect, it } from 'vitest'

import { readQuantity } from './quantity'

it.each([
  ['12', 12],
  [' 1,000 ', 1_000],
  ['5000', 1_000],
  ['0', 1],
  ['', null],
  ['-3', null],
  ['two', null],
  ['1e3', null],
])('%j is %s', (text, quantity) => expect(readQuantity(text, 1, 1_000)).toBe(quantity))
