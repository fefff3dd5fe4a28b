import { expect, it } from 'vitest'

import { apart } from './apart'

const ids = (...strips: string[]) => apart(strips.map((letters) => ({ ids: letters.split('') }))).map((strip) => strip.ids.join(''))

it('shows each product in one strip where the strips have enough', () => {
  expect(ids('abcd', 'aefgh', 'aeijkl')).toEqual(['abcd', 'efgha', 'ijklae'])
})

it('fills a strip that has too few of its own with what others show, in its order', () => {
  expect(ids('abcd', 'bae', 'ab')).toEqual(['abcd', 'eba', 'ab'])
})

it('leaves alone what no strip shows', () => {
  expect(ids('abcdef', 'ef')).toEqual(['abcdef', 'ef'])
})
