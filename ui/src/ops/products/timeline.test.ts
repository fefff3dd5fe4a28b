import { expect, test } from 'vitest'

import { courseOf, type Change } from './timeline'

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
