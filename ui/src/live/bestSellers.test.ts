import { expect, test } from 'vitest'

import { bestSellers, takeRecommendation } from './bestSellers'

test('only the recommendation of what sells best is taken', () => {
  takeRecommendation({ recommendationId: 'something else', productIds: ['A'] })
  takeRecommendation({ recommendationId: 'best-sellers' })
  takeRecommendation(null)
  expect(bestSellers.get()).toEqual([])
  takeRecommendation({ recommendationId: 'best-sellers', productIds: ['B', 7, 'A'] })
  expect(bestSellers.get()).toEqual(['B', 'A'])
})
