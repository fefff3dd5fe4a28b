import { describe, expect, it } from 'vitest'

import { aProduct } from '../testing'
import { isNewer, merge } from './revision'

describe('isNewer', () => {
  it.each([
    [1, 2, 1, 1, true],
    [1, 1, 1, 1, false],
    [1, 1, 1, 2, false],
    [2, 1, 1, 99, true],
    [1, 99, 2, 1, false],
  ])('(%i, %i) against (%i, %i): %s', (life, version, thanLife, thanVersion, expected) => expect(isNewer(life, version, thanLife, thanVersion)).toBe(expected))
})

describe('merge', () => {
  const known = aProduct({ version: 5, detailsVersion: 3, inventory: 10, price: 40, name: 'Old name' })

  it('takes stock and price of a newer version and keeps newer details', () => {
    const merged = merge(known, aProduct({ version: 6, detailsVersion: 2, inventory: 7, price: 35, name: 'Older name' }))
    expect(merged).toMatchObject({ inventory: 7, price: 35, version: 6, name: 'Old name', detailsVersion: 3 })
  })

  it('takes newer details and keeps newer stock and price', () => {
    const merged = merge(known, aProduct({ version: 4, detailsVersion: 4, inventory: 12, price: 50, name: 'New name' }))
    expect(merged).toMatchObject({ inventory: 10, price: 40, version: 5, name: 'New name', detailsVersion: 4 })
  })

  it('takes both parts of a later life, whatever their versions', () => {
    expect(merge(known, aProduct({ life: 2, version: 1, detailsVersion: 1, inventory: 3, name: 'Reborn' }))).toMatchObject({ life: 2, version: 1, inventory: 3, name: 'Reborn' })
  })

  it('takes nothing of an earlier life', () => {
    expect(merge(known, aProduct({ life: 0, version: 99, detailsVersion: 99, inventory: 0 }))).toBe(known)
  })

  it('gives the same object when nothing is newer', () => {
    expect(merge(known, { ...known, inventory: 99, name: 'Same revision' })).toBe(known)
  })

  it('ends at the same product in whichever order the parts come', () => {
    const updates = [
      aProduct({ version: 6, detailsVersion: 3, inventory: 9 }),
      aProduct({ version: 7, detailsVersion: 7, inventory: 9, name: 'Seventh' }),
      aProduct({ version: 8, detailsVersion: 7, inventory: 4, name: 'Seventh' }),
    ]
    const orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]]
    for (const order of orders) {
      const last = order.reduce((product, index) => merge(product, updates[index] ?? product), known)
      expect(last).toMatchObject({ version: 8, detailsVersion: 7, inventory: 4, name: 'Seventh' })
    }
  })

  it('takes a drop that the shop reports later, with the revision that it had', () => {
    const current = aProduct({ version: 4, price: 40 })
    expect(merge(current, { ...current, wasPrice: 50, wasAt: 9 })).toMatchObject({ price: 40, wasPrice: 50, wasAt: 9 })
    expect(merge(current, { ...current, version: 3, wasPrice: 50, wasAt: 9 })).toBe(current)
  })
})
