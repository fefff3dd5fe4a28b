import { describe, expect, it, vi } from 'vitest'

import { aChange, aProduct } from '../testing'
import { Catalogue } from './catalogue'

describe('Catalogue', () => {
  it('notifies only watchers of the product that changed', () => {
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
    catalogue.replace([])
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

  it('takes the price before a drop from the shop, with the price', () => {
    const catalogue = new Catalogue()
    catalogue.take(aProduct({ version: 2, price: 40, wasPrice: 50, wasAt: 7 }))
    catalogue.take(aProduct({ version: 1, detailsVersion: 2, name: 'Ash Stool', price: 50 }))
    expect(catalogue.get('PROD_0001')?.product).toMatchObject({ name: 'Ash Stool', price: 40, wasPrice: 50, wasAt: 7 })
    catalogue.take(aProduct({ version: 3, detailsVersion: 1, price: 55 }))
    expect(catalogue.get('PROD_0001')?.product).not.toHaveProperty('wasPrice')
  })

  it('forgets an old drop with the next sync', () => {
    const catalogue = new Catalogue()
    catalogue.replace([aProduct({ wasPrice: 50, wasAt: 7 })])
    catalogue.replace([aProduct()])
    expect(catalogue.get('PROD_0001')?.product).not.toHaveProperty('wasPrice')
  })

  it('takes an unknown product for a new one only where it knows all, or the change says so', () => {
    const catalogue = new Catalogue()
    expect(catalogue.take(aProduct({ productId: 'A' }), aChange())).toBe(false)
    expect(catalogue.take(aProduct({ productId: 'B' }), aChange({ type: 'PRODUCT_ADDED' }))).toBe(true)
    catalogue.replace([aProduct({ productId: 'A' })])
    expect(catalogue.take(aProduct({ productId: 'C' }), aChange())).toBe(true)
  })

  it('notifies once of a storm of changes, and later where out of sight', () => {
    const asked: { act: () => void; everyMs: number; times: number }[] = []
    const catalogue = new Catalogue(Date.now, (act, everyMs) => {
      const pulse = { act, everyMs, times: 0 }
      asked.push(pulse)
      return () => void (pulse.times += 1)
    })
    const [seen, unseen] = asked.toSorted((a, b) => a.everyMs - b.everyMs)
    catalogue.replace([aProduct({ productId: 'A' }), aProduct({ productId: 'B' })])
    const [near, far] = [vi.fn(), vi.fn()]
    catalogue.watch('A', near)
    catalogue.watch('B', far, () => false)
    for (let version = 2; version < 50; version++) for (const productId of ['A', 'B']) catalogue.take(aProduct({ productId, version, inventory: version }))
    expect(catalogue.get('A')?.product.inventory, 'what is read is the newest').toBe(49)
    expect(near).not.toHaveBeenCalled()
    seen?.act()
    expect([near.mock.calls.length, far.mock.calls.length]).toEqual([1, 0])
    expect(unseen?.times).toBe(1)
    unseen?.act()
    expect([near.mock.calls.length, far.mock.calls.length]).toEqual([1, 1])
  })

  it('is whole after a sync and in doubt after a call of doubt', () => {
    const catalogue = new Catalogue()
    catalogue.take(aProduct())
    expect(catalogue.isWhole()).toBe(false)
    catalogue.replace([])
    expect(catalogue.isWhole()).toBe(true)
    catalogue.doubt()
    expect(catalogue.isWhole()).toBe(false)
  })
})
