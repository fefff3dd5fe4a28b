import { expect, test } from 'vitest'

import { courseOf, isoOf, momentOf, type Change } from './timeline'

const change = (time: number, stockAfter: number, revision = true): Change => ({ offset: time, time, eventType: 'X', reason: '', revision: revision ? { life: 0, version: 1 } : null, stockBefore: null, stockAfter, priceBefore: null, priceAfter: 2, cause: { kind: 'file' } })

test('a course is in the order of the log, also where the clock stepped back', () => {
  // Newest first, as the server gives them.
  expect(courseOf([change(200, 1), change(90, 3), change(150, 5), change(100, 9)], 'stock')).toEqual([
    [10 / 110, 9],
    [60 / 110, 5],
    [60 / 110, 3],
    [1, 1],
  ])
})

test('answers about a product that is not there are no course, and one change is', () => {
  expect(courseOf([change(5, 0, false)], 'stock')).toEqual([])
  expect(courseOf([change(5, 4)], 'price')).toEqual([[0, 2]])
})

test('a moment is read as people write it', () => {
  const now = new Date(2026, 0, 31, 12, 0, 0).getTime()
  expect(momentOf('1769853600000', now)).toBe(1_769_853_600_000)
  expect(momentOf('2026-01-31T10:42:00Z', now)).toBe(Date.UTC(2026, 0, 31, 10, 42))
  expect(momentOf('10:42', now)).toBe(new Date(2026, 0, 31, 10, 42).getTime())
  expect(momentOf('10:42:31.250', now)).toBe(new Date(2026, 0, 31, 10, 42, 31, 250).getTime())
  expect(momentOf('23:10', now), 'yesterday, as today it has not been yet').toBe(new Date(2026, 0, 30, 23, 10).getTime())
  for (const wrong of ['24:00', '10:60', '10:4', 'soon', '10:42:61']) expect(momentOf(wrong, now), wrong).toBeNaN()
})

test('a moment is written as a form takes it again, and one that is none is empty', () => {
  expect(momentOf(isoOf(1_760_000_000_123))).toBe(1_760_000_000_123)
  expect([isoOf(Number.NaN), isoOf(9e15), isoOf(momentOf('99:99'))]).toEqual(['', '', ''])
})
