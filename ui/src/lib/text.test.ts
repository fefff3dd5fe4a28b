import { expect, it } from 'vitest'

import { sentence } from './text'

it.each([
  ['no database', 'no database.'],
  ['Why? ', 'Why?'],
  ['Gone.', 'Gone.'],
  ['', ''],
])('%j becomes %j', (text, expected) => expect(sentence(text)).toBe(expected))
