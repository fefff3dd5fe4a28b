import { describe, expect, it } from 'vitest'

import { cents, money, percentOff } from './money'

describe('money', () => {
  it.each([
    [1899.99, '$1,899.99'],
    [0, '$0.00'],
    [5.9, '$5.90'],
    [-2.5, '-$2.50'],
    [1234567.1, '$1,234,567.10'],
  ])('writes %s as %s', (amount, text) => expect(money(amount)).toBe(text))

  it.each([null, undefined, Number.NaN, Number.POSITIVE_INFINITY])('writes %s as a dash', (amount) => expect(money(amount)).toBe('–'))

  it('compares by cents, so that sums of floats are equal', () => {
    expect(cents(0.1 + 0.2)).toBe(cents(0.3))
    expect(cents(19.99 * 3)).toBe(5997)
  })

  it.each([
    [100, 90, 10],
    [100, 99.9, 1],
    [100, 100, 0],
    [90, 100, 0],
    [0, 0, 0],
  ])('from %s to %s is %s percent off', (was, now, off) => expect(percentOff(was, now)).toBe(off))
})
