import { describe, expect, it } from 'vitest'

import { count } from './locale'
import { inText, nameOf, plain, sentence } from './text'

it.each([
  ['no database', 'No database.'],
  ['Why? ', 'Why?'],
  ['Gone.', 'Gone.'],
  ['', ''],
])('%j becomes %j', (text, expected) => expect(sentence(text)).toBe(expected))

it.each([
  [999, '999'],
  [1_000_000, '1,000,000'],
  [1_000_000_000_000, '1,000,000,000,000'],
])('%i reads %s', (units, text) => expect(count(units)).toBe(text))

describe('words of others', () => {
  it('turn nothing around', () => {
    expect(plain('Cable \u202E(kcotsni)')).toBe('Cable (kcotsni)')
    expect(plain('\u2067a\u2066b\u2068c\u2069\u202Ad\u202Be\u202C\u202Df')).toBe('abcdef')
  })

  it('lose what no font draws, and keep line ends, joined emoji and accents', () => {
    expect(plain('a\ufffe\u0007b\nc')).toBe('ab\nc')
    expect(plain('👩‍🔧 e\u0301')).toBe('👩‍🔧 e\u0301')
  })

  it('pile no more than four marks on a letter', () => {
    expect(plain(`Z${'\u0351'.repeat(40)}algo`)).toBe(`Z${'\u0351'.repeat(4)}algo`)
  })

  it('have a name in any case', () => {
    expect(nameOf(' \u202E ')).toBe('Unnamed product')
  })

  it('are isolated in a sentence only where they run from right to left', () => {
    expect(inText('Oak Stool')).toBe('Oak Stool')
    expect(inText('كرسي\u202E')).toBe('\u2068كرسي\u2069')
  })
})
