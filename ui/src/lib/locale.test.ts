import { expect, it } from 'vitest'

import { bounds } from './locale'

it.each([
  [4.5, 1899.99, '4', '1,900'],
  [0, 99_999, '0', '99,999'],
  [99_999.5, 100_000_000, '99,999', '100M'],
  [123_456, 10_049_999.01, '123.4K', '10.1M'],
])('%s to %s is from %s to %s', (from, to, first, last) => expect(bounds(from, to)).toEqual([first, last]))
