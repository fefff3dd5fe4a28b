import { describe, expect, it } from 'vitest'

import { aChange } from '../testing'
import { courseFrom, courseOf, priceBefore, recentFirst, textOf, withChange } from './history'

describe('history', () => {
  it('takes a pushed change once', () => {
    const change = aChange({ version: 2 })
    const history = withChange([], change)
    expect(withChange(history, change)).toHaveLength(1)
    expect(withChange(history, aChange({ version: 2, type: 'PRICE_CHANGED' }))).toHaveLength(2)
  })

  it.each([
    [{ type: 'INVENTORY_DECREASED' }, '2 went out'],
    [{ type: 'INVENTORY_INCREASED', currentInventory: 15 }, '5 came in'],
    [{ type: 'OUT_OF_STOCK', previousInventory: 1, currentInventory: 0 }, 'The last one went out'],
    [{ type: 'OUT_OF_STOCK', previousInventory: 0, currentInventory: 0 }, null],
    [{ type: 'STALE_INVENTORY' }, null],
  ])('%j reads "%s"', (change, text) => expect(textOf(aChange(change))).toBe(text))

  it('lists what can be seen, newest first', () => {
    const changes = [aChange({ version: 1, timestamp: 1 }), aChange({ version: 3, timestamp: 9, type: 'STALE_INVENTORY' }), aChange({ version: 2, timestamp: 5 })]
    expect(recentFirst(changes).map((change) => change.version)).toEqual([2, 1])
  })

  it('draws the stock from the start of the hour to now', () => {
    const changes = [aChange({ timestamp: 20, previousInventory: 8, currentInventory: 3, version: 3 }), aChange({ timestamp: 10, previousInventory: 10, currentInventory: 8 })]
    expect(courseOf(changes, 0, 100)).toEqual([[0, 10], [10, 8], [20, 3], [100, 3]])
    expect(courseOf([], 0, 100)).toEqual([])
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

  it('knows what a cheaper product cost before', () => {
    const changes = [aChange({ type: 'PRICE_CHANGED', previousPrice: 50, currentPrice: 40 })]
    expect(priceBefore(changes, 40)).toBe(50)
    expect(priceBefore(changes, 60)).toBeNull()
    expect(priceBefore([], 40)).toBeNull()
  })
})
