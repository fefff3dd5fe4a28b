import { Observable } from '../lib/observable'

/** The id under which everyone is recommended what sells best. Nothing is, unless an actor counts the sales: see exercises/08-best-sellers. */
const BEST_SELLERS = 'best-sellers'

/** Ids of the products that sell best, the best first. */
export const bestSellers = new Observable<readonly string[]>([])

/** Takes a recommendation, if it is the one that the front page has a strip for. */
export function takeRecommendation(payload: unknown): void {
  const { recommendationId, productIds } = (payload ?? {}) as { recommendationId?: unknown; productIds?: unknown }
  if (recommendationId !== BEST_SELLERS || !Array.isArray(productIds)) return
  bestSellers.set(productIds.filter((id): id is string => typeof id === 'string'))
}
