import { describe, expect, it } from 'vitest'

import { aChange } from '../testing'
import type { ProductChange } from '../wire'
import { courseFrom, courseOf, reasonOf, recentFirst, resultOf, textOf, withChange } from './history'

describe('history', () => {
  it('takes a pushed change once', () => {
    const change = aChange({ version: 2 })
    const history = withChange([], change)
    expect(withChange(history, change)).toHaveLength(1)
    expect(withChange(history, aChange({ version: 2, type: 'PRICE_CHANGED' }))).toHaveLength(2)
  })

  it.each<[Partial<ProductChange>, string | null]>([
    [{ type: 'INVENTORY_DECREASED', orderId: 'o' }, '2 sold'],
    [{ type: 'INVENTORY_DECREASED', orderId: null, reason: 'correction' }, 'Corrected −2'],
    [{ type: 'INVENTORY_DECREASED', orderId: 'o', reason: 'correction' }, 'Corrected −2'],
    [{ type: 'INVENTORY_DECREASED', orderId: null, reason: 'order' }, '2 sold'],
    [{ type: 'INVENTORY_INCREASED', currentInventory: 1_015, reason: 'restock' }, '+1,005 restocked'],
    [{ type: 'BACK_IN_STOCK', previousInventory: 0, currentInventory: 8, reason: 'restock' }, '+8 restocked'],
    [{ type: 'OUT_OF_STOCK', orderId: 'o', previousInventory: 1, currentInventory: 0 }, '1 sold, the last'],
    [{ type: 'OUT_OF_STOCK', previousInventory: 0, currentInventory: 0 }, null],
    [{ type: 'PRODUCT_UPDATED', reason: 'correction' }, 'Corrected −2'],
    [{ type: 'PRODUCT_UPDATED', reason: 'details' }, null],
    [{ type: 'OUT_OF_STOCK', reason: 'rejected', previousInventory: 0, currentInventory: 0 }, null],
    [{ type: 'STALE_INVENTORY', reason: 'stale' }, null],
  ])('%j reads "%s"', (change, text) => expect(textOf({ ...aChange(), ...change })).toBe(text))

  it('believes the server’s reason before the type', () => {
    expect(reasonOf({ ...aChange({ type: 'PRICE_CHANGED' }), reason: 'stale' })).toBeNull()
  })

  it('says what a change left', () => {
    expect(resultOf(aChange({ currentInventory: 1_200 }))).toBe('1,200 left')
    expect(resultOf(aChange({ type: 'PRICE_CHANGED', reason: 'price', previousPrice: 50, currentPrice: 40 }))).toBe('$50.00 → $40.00')
    expect(resultOf(aChange({ type: 'PRICE_CHANGED', reason: 'price', previousPrice: null, currentPrice: 40 }))).toBe('$40.00')
  })

  it('lists what can be seen, newest first', () => {
    const changes = [aChange({ version: 1, timestamp: 1 }), aChange({ version: 3, timestamp: 9, type: 'STALE_INVENTORY', reason: 'stale' }), aChange({ version: 2, timestamp: 5 })]
    expect(recentFirst(changes).map((change) => change.version)).toEqual([2, 1])
  })

  it('draws stock and price from the start of the hour to now', () => {
    const changes = [
      aChange({ timestamp: 20, previousInventory: 8, currentInventory: 3, version: 3 }),
      aChange({ timestamp: 10, previousInventory: 10, currentInventory: 8 }),
      aChange({ type: 'PRICE_CHANGED', timestamp: 30, previousInventory: 3, currentInventory: 3, previousPrice: 40, currentPrice: 35, version: 4 }),
    ]
    expect(courseOf(changes, 'stock', 3, 0, 100)).toEqual([[0, 10], [10, 8], [20, 3], [100, 3]])
    expect(courseOf(changes, 'price', 35, 0, 100)).toEqual([[0, 40], [30, 35], [100, 35]])
    expect(courseOf([], 'stock', 7, 0, 100), 'flat where nothing moved').toEqual([[0, 7], [100, 7]])
    expect(courseOf(changes, 'stock', 3, 0, 15), 'to the last change at least').toEqual([[0, 10], [10, 8], [20, 3], [20, 3]])
  })

  it('draws changes that do not say what was before', () => {
    expect(courseOf([aChange({ timestamp: 10, previousPrice: null, currentPrice: 12 })], 'price', 12, 0, 100)).toEqual([[0, 12], [100, 12]])
  })

  it('draws a new product from what it came with, not from nothing', () => {
    const added = aChange({ type: 'PRODUCT_ADDED', previousInventory: 0, currentInventory: 30, previousPrice: 0, currentPrice: 10, timestamp: 5 })
    expect(courseOf([added], 'price', 10, 0, 100)).toEqual([[0, 10], [100, 10]])
    expect(courseOf([added, aChange({ previousInventory: 30, currentInventory: 28, timestamp: 9, version: 3 })], 'stock', 28, 0, 100)).toEqual([[0, 30], [9, 28], [100, 28]])
  })

  it('begins the course of a new product where it came', () => {
    const hour = 3_600_000
    const added = aChange({ type: 'PRODUCT_ADDED', previousInventory: 0, timestamp: 9 * hour })
    const sold = aChange({ timestamp: 9 * hour + 1_000, version: 3 })
    expect(courseFrom([added, sold], 8.5 * hour, 9.5 * hour)).toBe(9 * hour)
    expect(courseFrom([added, sold], 9.5 * hour, 10.5 * hour)).toBe(9.5 * hour)
    expect(courseFrom([sold], 8.5 * hour, 9.5 * hour)).toBe(8.5 * hour)
    expect(courseFrom([added], 8 * hour, 9 * hour), 'a minute at least').toBe(9 * hour - 60_000)
  })
})
