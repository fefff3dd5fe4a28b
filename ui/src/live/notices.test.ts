import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'

import { aChange, aProduct } from '../testing'
import { noticeOf, QUIET_MS, Throttle } from './notices'

describe('noticeOf', () => {
  it.each([
    ['OUT_OF_STOCK', { previousInventory: 2 }, 0, 'Oak Stool is now sold out'],
    ['OUT_OF_STOCK', { previousInventory: 0 }, 0, null],
    ['BACK_IN_STOCK', {}, 5, 'Oak Stool is back in stock'],
    ['INVENTORY_DECREASED', {}, 9, 'Oak Stool: only 9 left'],
    ['INVENTORY_DECREASED', {}, 10, null],
    ['PRICE_CHANGED', {}, 10, 'Oak Stool now costs $40.00'],
    ['STALE_INVENTORY', {}, 10, null],
  ])('%s %j with %i left: %s', (type, change, inventory, text) => expect(noticeOf(aProduct({ inventory }), aChange({ type, ...change }))).toBe(text))
})

describe('Throttle', () => {
  beforeEach(() => vi.useFakeTimers())
  afterEach(() => vi.useRealTimers())

  it('lets the first through, then one per quiet time, folding the rest', () => {
    const shown: string[] = []
    const throttle = new Throttle((text) => shown.push(text))
    for (const text of ['a', 'b', 'c', 'c']) throttle.add(text)
    expect(shown).toEqual(['a'])
    vi.advanceTimersByTime(QUIET_MS)
    expect(shown).toEqual(['a', '2 things changed in your cart or on this page'])
    throttle.add('d')
    vi.advanceTimersByTime(QUIET_MS)
    expect(shown.at(-1)).toBe('d')
    vi.advanceTimersByTime(QUIET_MS)
    throttle.add('e')
    expect(shown.at(-1)).toBe('e')
  })
})
