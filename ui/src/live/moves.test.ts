import { describe, expect, it } from 'vitest'

import { aChange, aProduct } from '../testing'
import type { ProductChange } from '../wire'
import { KEPT, moveOf, moves, nextPlaces, recall, remember, withMove, type Move } from './moves'

const move = (productId: string, at: number): Move => ({ key: `${productId}/${at}`, productId, name: productId, imageUrl: '', text: '', detail: '', at })

const said = (fields: Parameters<typeof aChange>[0]) => moveOf(aProduct(), aChange(fields), 5)

describe('moveOf', () => {
  it.each<[Partial<ProductChange>, string, string]>([
    [{ reason: 'order' }, '2 sold', '8 left'],
    [{ reason: 'order', type: 'OUT_OF_STOCK', currentInventory: 0 }, '10 sold', 'sold out'],
    [{ reason: 'correction' }, 'Corrected −2', '8 left'],
    [{ reason: 'restock', currentInventory: 1_010 }, '+1,000 restocked', '1,010 left'],
    [{ type: 'PRODUCT_ADDED', reason: 'added', previousInventory: 0, currentInventory: 63 }, 'New in the shop', '63 left'],
    [{ type: 'PRICE_CHANGED', currentInventory: 10, currentPrice: 9.5 }, 'Now $9.50', 'was $40.00'],
  ])('says %j as "%s", "%s"', (fields, text, detail) => expect(said(fields)).toMatchObject({ text, detail }))

  it('has nothing to say of the rest', () => {
    expect(said({ currentInventory: 10 })).toBeNull()
    expect(said({ type: 'PRODUCT_REMOVED', currentInventory: 0 })).toBeNull()
    expect(said({ previousInventory: null })).toBeNull()
  })
})

it('keeps the last move of each product, newest first', () => {
  const kept = Array.from({ length: 9 }, (_, at) => move(`P${at % 7}`, at)).reduce(withMove, [] as readonly Move[])
  expect(kept.map(({ at }) => at)).toEqual([8, 7, 6, 5, 4, 3])
})

it('puts what was pushed and what was read in the order of their times', () => {
  const [pushed, read] = [aProduct({ productId: 'PUSHED' }), aProduct({ productId: 'READ' })]
  remember(pushed, aChange({ timestamp: 20, version: 3 }), 0)
  recall([{ product: read, change: aChange({ timestamp: 30 }) }, { product: pushed, change: aChange({ timestamp: 10 }) }], 0)
  expect(moves.get().map(({ productId, at }) => [productId, at])).toEqual([['READ', 30], ['PUSHED', 20]])
})

describe('nextPlaces', () => {
  const six = Array.from({ length: KEPT }, (_, at) => move(`P${at}`, at + 10))

  it('changes one place at most, that of the oldest', () => {
    const next = nextPlaces(six, [move('B', 99), move('A', 98), ...six.toReversed()])
    expect(next.map(({ productId }) => productId)).toEqual(['B', 'P1', 'P2', 'P3', 'P4', 'P5'])
  })

  it('gives a product that is shown its own place again', () => {
    expect(nextPlaces(six, [move('P3', 99)]).map(({ at }) => at)).toEqual([10, 11, 12, 99, 14, 15])
  })

  it('leaves what is shown for nothing older', () => {
    expect(nextPlaces(six, six)).toBe(six)
    expect(nextPlaces(six, [move('OLD', 1)])).toBe(six)
    expect(nextPlaces(six, [move('P3', 1)])).toBe(six)
  })

  it('takes one after the other from empty places on', () => expect(nextPlaces([], six)).toHaveLength(1))
})
