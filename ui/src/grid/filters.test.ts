import { describe, expect, it } from 'vitest'

import { choicesIn, FROM_THE_START, hrefOf, isPlain, pageQueryOf, readFilters, readPrice, selectionOf, STEP } from './filters'

describe('filters in the address', () => {
  it('reads back what it wrote', () => {
    const filters = { search: 'oak & ash', category: 'Home & Garden', brands: ['Moss', 'A&B, Co'], minPrice: 5, maxPrice: 99.5, sort: 'price-low' as const, inStock: true, page: 3, shown: 72 }
    expect(readFilters(hrefOf(filters).slice(2))).toEqual(filters)
  })

  it('writes nothing for the plain grid', () => {
    expect(hrefOf(readFilters(''))).toBe('/')
    expect(isPlain(readFilters('sort=price-low&shown=48'))).toBe(true)
    expect(isPlain(readFilters('brand=Moss'))).toBe(false)
  })

  it('falls back where the address is wrong', () => {
    expect(readFilters('sort=toString&shown=-3&inStock=yes&page=0&minPrice=x&maxPrice=-1&brand=')).toEqual(readFilters(''))
    expect(readFilters('shown=x&page=1.5')).toMatchObject({ shown: STEP, page: 1 })
    expect(readFilters('shown=1e9').shown % STEP).toBe(0)
    expect(readFilters('shown=50').shown).toBe(72)
  })

  it('orders a search by its best matches unless another order is chosen', () => {
    expect(readFilters('search=lamp').sort).toBe('relevance')
    expect(readFilters('search=lamp&sort=newest').sort).toBe('newest')
    expect(readFilters('sort=relevance').sort).toBe('featured')
    expect(hrefOf({ search: 'lamp', sort: 'relevance' })).toBe('/?search=lamp')
    expect(hrefOf({ search: 'lamp', sort: 'featured' })).toBe('/?search=lamp&sort=featured')
  })

  it('asks the API for a page of the same selection as its facets', () => {
    const filters = readFilters('search=+oak+&brand=Moss&brand=Ash&maxPrice=20&page=2')
    expect(selectionOf(filters)).toBe('search=oak&brand=Moss&brand=Ash&maxPrice=20')
    expect(pageQueryOf(filters, 1)).toBe('limit=24&search=oak&sort=relevance&brand=Moss&brand=Ash&maxPrice=20')
    expect(pageQueryOf(filters, 7)).toContain('page=7')
  })

  it('starts a new choice at the first page', () => expect(hrefOf({ ...readFilters('page=9&shown=96'), ...FROM_THE_START })).toBe('/'))

  it('counts the choices of the filter panel', () => {
    expect(choicesIn(readFilters('category=Toys&search=x'))).toBe(0)
    expect(choicesIn(readFilters('brand=A&brand=B&minPrice=1&maxPrice=2&inStock=true'))).toBe(4)
  })
})

describe('readPrice', () => {
  it('takes amounts as shoppers write them', () => expect(['5', ' 5.50 ', '$1,200', '0'].map(readPrice)).toEqual([5, 5.5, 1200, 0]))
  it('takes nothing else', () => expect(['', 'x', '-1', '1e3', '5.555', null].map(readPrice)).toEqual([null, null, null, null, null, null]))
})
