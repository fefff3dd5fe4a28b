import { expect, test } from 'vitest'

import { rateOf, ratesOf, sampled } from './topics'

const sample = (at: number, end: number) => ({ at, ends: new Map([['orders', end]]) })

test('a rate needs two samples and is taken over the last few', () => {
  let kept = sampled([], sample(0, 100))
  expect(rateOf(kept, 'orders')).toBeNull()
  for (let second = 1; second <= 10; second++) kept = sampled(kept, sample(second * 1_000, 100 + (second > 5 ? (second - 5) * 20 : 0)))
  expect(rateOf(kept, 'orders')).toBe(20)
  expect(rateOf(kept, 'unknown')).toBe(0)
  expect(ratesOf(kept, 'orders')).toEqual([0, 0, 0, 0, 0, 20, 20, 20, 20, 20])
})

test('ends that step back are another log', () => {
  const kept = sampled(sampled([], sample(0, 100)), sample(1_000, 3))
  expect(rateOf(kept, 'orders')).toBeNull()
})

test('samples are bounded', () => {
  let kept = sampled([], sample(0, 0))
  for (let second = 1; second < 500; second++) kept = sampled(kept, sample(second, second))
  expect(kept.length).toBe(90)
})
