import { describe, expect, it } from 'vitest'

import { apiQueryOf, hrefOf, readFilters, STEP } from './filters'

describe('filters in the address', () => {
  it('reads back what it wrote', () => {
    const filters = { search: 'oak & ash', category: 'Home & Garden', sort: 'price-low' as const, inStock: true, shown: 72 }
    expect(readFilters(hrefOf(filters).slice(2))).toEqual(filters)
  })

  it('writes nothing for the plain grid', () => expect(hrefOf(readFilters(''))).toBe('/'))

  it('falls back where the address is wrong', () => {
    expect(readFilters('sort=toString&shown=-3&inStock=yes')).toEqual({ search: '', category: '', sort: 'featured', inStock: false, shown: STEP })
    expect(readFilters('shown=1e9').shown).toBe(1000)
    expect(readFilters('shown=x').shown).toBe(STEP)
  })

  it('asks the API for one more than it shows, up to its limit', () => {
    expect(apiQueryOf(readFilters('search=+oak+'))).toBe('sort=featured&limit=25&search=oak')
    expect(apiQueryOf(readFilters('shown=1000'))).toContain('limit=1000')
  })
})
