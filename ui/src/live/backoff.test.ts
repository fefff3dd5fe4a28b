import { expect, it } from 'vitest'

import { backoffMs } from './backoff'

it('doubles up to the longest wait', () => {
  expect([0, 1, 2, 3, 4, 5, 6, 1000].map((tries) => backoffMs(tries, 0))).toEqual([500, 1000, 2000, 4000, 8000, 15000, 15000, 15000])
})

it('takes off up to half at random', () => {
  expect(backoffMs(3, 0.999)).toBeGreaterThanOrEqual(2000)
  expect(backoffMs(3, 0.5)).toBe(3000)
})
