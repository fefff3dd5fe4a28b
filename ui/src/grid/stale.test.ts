import { describe, expect, it } from 'vitest'

import type { LiveProduct } from '../live/catalogue'
import { aProduct } from '../testing'
import type { Product } from '../wire'
import { readFilters } from './filters'
import { staleness } from './stale'

function judged(address: string, products: Partial<Product>[], fields: Partial<LiveProduct> = {}) {
  const live = new Map(products.map((product, index) => [`P${index}`, { product: aProduct({ ...product, productId: `P${index}` }), removed: false, backAt: 0, movedBy: 0, movedAt: 0, ...fields }]))
  return staleness([...live.keys(), 'UNKNOWN'], readFilters(address), (id) => live.get(id))
}

describe('a list that was right when it was read', () => {
  it.each([
    ['sort=price-low', [{ price: 1 }, { price: 1 }, { price: 2 }], null],
    ['sort=price-low', [{ price: 1 }, { price: 3 }, { price: 2 }], 'order'],
    ['sort=price-high', [{ price: 3 }, { price: 2 }], null],
    ['sort=price-high', [{ price: 1 }, { price: 2 }], 'order'],
    ['sort=rating', [{ rating: 3 }, { rating: 4 }], 'order'],
    ['sort=popular', [{ reviewCount: 3 }, { reviewCount: 4 }], 'order'],
    ['', [{ price: 3, rating: 1 }, { price: 1, rating: 5 }], null],
    ['inStock=true', [{ inventory: 1 }], null],
    ['inStock=true', [{ inventory: 1 }, { inventory: 0 }], 'choice'],
    ['minPrice=5', [{ price: 4.99 }], 'choice'],
    ['maxPrice=5', [{ price: 5 }], null],
    ['maxPrice=5', [{ price: 5.01 }], 'choice'],
    ['brand=moss&brand=Ash', [{ brand: 'Moss' }], null],
    ['brand=Moss', [{ brand: 'Ash' }], 'choice'],
    ['category=home', [{ category: 'Home' }], null],
    ['category=Home', [{ category: 'Toys' }], 'choice'],
  ] as const)('%s with %j: %s', (address, products, expected) => expect(judged(address, [...products])).toBe(expected))

  it('leaves a removed product to its card', () => expect(judged('inStock=true', [{ inventory: 0 }], { removed: true })).toBeNull())
})
