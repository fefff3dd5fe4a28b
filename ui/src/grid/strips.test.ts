import { expect, test } from 'vitest'

import { keptStrips } from './strips'

const front = (drops: string[], almostGone: string[], trending: string[]) => ({ drops, almostGone, trending })
const titles = (strips: ReturnType<typeof keptStrips>) => strips.map(({ title, ids }) => `${title}: ${ids.join(' ')}`)

test('the first answer decides which strips there are, later ones what is in them', () => {
  const first = keptStrips([], front([], ['a'], ['b']))
  expect(titles(first)).toEqual(['Almost gone: a', 'Trending: b'])
  const later = keptStrips(first, front(['c'], [], ['d', 'e']))
  expect(titles(later)).toEqual(['Almost gone: a', 'Trending: d e'])
})

test('nothing new is the same object, so that it is rendered once', () => {
  const answer = front(['a'], ['b'], ['c'])
  const kept = keptStrips([], answer)
  expect(keptStrips(kept, answer)).toBe(kept)
  expect(keptStrips(kept, undefined)).toBe(kept)
  const none = keptStrips([], undefined)
  expect(keptStrips(none, front([], [], []))).toBe(none)
})
