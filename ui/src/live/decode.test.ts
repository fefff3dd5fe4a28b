import { describe, expect, it } from 'vitest'

import { readChange, readHeartbeat, readProduct, readProducts } from './decode'

describe('decoding frames', () => {
  it('puts every field of a product in place', () => {
    expect(readProduct({ productId: 'A', price: null, tags: ['x', 7], inventory: '3' })).toMatchObject({ productId: 'A', name: '', price: 0, inventory: 0, tags: ['x'], life: 0, version: 0, detailsVersion: 0 })
  })

  it.each([null, 7, [], {}, { productId: '' }, { productId: 3 }])('takes no product from %j', (value) => expect(readProduct(value)).toBeNull())

  it('drops what is no product from a list, and a list that is none', () => {
    expect(readProducts([{ productId: 'A' }, null, {}]).map((product) => product.productId)).toEqual(['A'])
    expect(readProducts(undefined)).toEqual([])
  })

  it('gives a change its product’s revision', () => {
    expect(readChange({ type: 'PRICE_CHANGED', previousPrice: 5, currentPrice: 4 }, { life: 2, version: 9, timestamp: 77 })).toMatchObject({ life: 2, version: 9, timestamp: 77, previousInventory: null, previousPrice: 5 })
    expect(readChange(undefined, { life: 2, version: 9, timestamp: 77 })).toBeNull()
  })

  it('reads a heartbeat that lacks everything', () => {
    expect(readHeartbeat(null)).toEqual({ cursor: null, status: null, reload: false })
  })
})
