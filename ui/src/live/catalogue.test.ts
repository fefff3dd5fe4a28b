import { describe, expect, it, vi } from 'vitest'

import { aChange, aProduct } from '../testing'
import { Catalogue } from './catalogue'

describe('Catalogue', () => {
  it('tells only those who watch the product that changed', () => {
    const catalogue = new Catalogue()
    catalogue.replace([aProduct({ productId: 'A' }), aProduct({ productId: 'B' })])
    const [a, b] = [vi.fn(), vi.fn()]
    catalogue.watch('A', a)
    catalogue.watch('B', b)
    catalogue.take(aProduct({ productId: 'A', version: 2, inventory: 4 }))
    expect(a).toHaveBeenCalledTimes(1)
    expect(b).not.toHaveBeenCalled()
  })

  it('stops telling who went away', () => {
    const catalogue = new Catalogue()
    const watcher = vi.fn()
    catalogue.watch('PROD_0001', watcher)()
    catalogue.take(aProduct())
    expect(watcher).not.toHaveBeenCalled()
  })

  it('ignores what is not newer', () => {
    const catalogue = new Catalogue()
    catalogue.take(aProduct({ version: 4, inventory: 4 }))
    const before = catalogue.get('PROD_0001')
    catalogue.take(aProduct({ version: 3, inventory: 9 }))
    expect(catalogue.get('PROD_0001')).toBe(before)
  })

  it('is replaced whole by a sync: older revisions and missing products too', () => {
    const catalogue = new Catalogue()
    catalogue.replace([aProduct({ productId: 'A', version: 9, inventory: 1 }), aProduct({ productId: 'B' })])
    const gone = vi.fn()
    catalogue.watch('B', gone)
    catalogue.replace([aProduct({ productId: 'A', version: 2, inventory: 5 })])
    expect(catalogue.get('A')?.product.inventory).toBe(5)
    expect(catalogue.get('B')).toBeUndefined()
    expect(gone).toHaveBeenCalled()
  })

  it('keeps products as they are when a sync brings nothing new', () => {
    const catalogue = new Catalogue()
    catalogue.replace([aProduct()])
    const before = catalogue.get('PROD_0001')
    catalogue.replace([aProduct()])
    expect(catalogue.get('PROD_0001')).toBe(before)
  })

  it('says when lists are out of date: a new product, a removed one, not a stock change', () => {
    const catalogue = new Catalogue()
    expect(catalogue.take(aProduct())).toBe(true)
    expect(catalogue.take(aProduct({ version: 2, inventory: 3 }))).toBe(false)
    expect(catalogue.take(aProduct({ version: 3, inventory: 0 }), aChange({ type: 'PRODUCT_REMOVED', version: 3 }))).toBe(true)
    expect(catalogue.get('PROD_0001')?.removed).toBe(true)
  })

  it('brings a removed product back in its next life', () => {
    const catalogue = new Catalogue()
    catalogue.take(aProduct({ life: 1, version: 3 }), aChange({ type: 'PRODUCT_REMOVED' }))
    catalogue.take(aProduct({ life: 2, version: 1, inventory: 6 }), aChange({ type: 'PRODUCT_ADDED' }))
    expect(catalogue.get('PROD_0001')).toMatchObject({ removed: false, product: { inventory: 6 } })
  })

  it('notes when stock came back and by how much it moved', () => {
    let now = 1_000
    const catalogue = new Catalogue(() => now)
    catalogue.take(aProduct({ version: 1, inventory: 0 }))
    now = 2_000
    catalogue.take(aProduct({ version: 2, inventory: 5 }))
    expect(catalogue.get('PROD_0001')).toMatchObject({ backAt: 2_000, movedBy: 5, movedAt: 2_000 })
  })

  it('keeps the price before a drop until the price is back', () => {
    const catalogue = new Catalogue(() => 7)
    const priced = (version: number, price: number) => {
      catalogue.take(aProduct({ version, price }))
      return catalogue.get('PROD_0001')?.droppedFrom
    }
    expect(priced(1, 50)).toBeNull()
    expect(priced(2, 45)).toBe(50)
    expect(priced(3, 40)).toBe(50)
    expect(priced(4, 48)).toBe(50)
    expect(priced(5, 50)).toBeNull()
    expect(priced(6, 60)).toBeNull()
  })

  it('lists categories sorted, as one array until they change', () => {
    const catalogue = new Catalogue()
    catalogue.replace([aProduct({ productId: 'A', category: 'Toys' }), aProduct({ productId: 'B', category: 'Books' }), aProduct({ productId: 'C', category: 'Toys' })])
    const categories = catalogue.categories()
    expect(categories).toEqual(['Books', 'Toys'])
    catalogue.take(aProduct({ productId: 'A', version: 2, detailsVersion: 1, category: 'Toys', inventory: 1 }))
    expect(catalogue.categories()).toBe(categories)
  })

  it('is whole after a sync and in doubt when told so', () => {
    const catalogue = new Catalogue()
    catalogue.take(aProduct())
    expect(catalogue.isWhole()).toBe(false)
    catalogue.replace([])
    expect(catalogue.isWhole()).toBe(true)
    catalogue.doubt()
    expect(catalogue.isWhole()).toBe(false)
  })
})
