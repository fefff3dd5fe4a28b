import { expect, test } from 'vitest'

import { bytes, rate, span } from './format'
import { linkTo } from './params'

test('spans name their two largest units', () => {
  expect([0, 999, 1_000, 9_960, 10_000, 60_000, 303_000, 7_500_000, 273_600_000].map(span)).toEqual(['0 ms', '999 ms', '1.0 s', '10.0 s', '10 s', '1 min', '5 min 3 s', '2 h 5 min', '3 d 4 h'])
})

test('sizes and rates are short', () => {
  expect([0, 1_023, 1_536, 1_073_741_824, 200 * 1_048_576].map(bytes)).toEqual(['0 B', '1,023 B', '1.5 KiB', '1.0 GiB', '200 MiB'])
  expect([0, 0.44, 9.96, 12.4, 1_204].map(rate)).toEqual(['0', '0.4', '10.0', '12', '1,204'])
})

test('addresses leave out what is empty', () => {
  expect(linkTo('/inspect', { topics: 'products', where: '.key == "a&b"', from: '', limit: undefined })).toBe('/inspect?topics=products&where=.key+%3D%3D+%22a%26b%22')
  expect(linkTo('/topics')).toBe('/topics')
})
