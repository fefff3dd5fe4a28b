import type { LiveProduct } from '../live/catalogue'
import { cents } from '../lib/money'
import type { Filters, Sort } from './filters'

type Known = (productId: string) => LiveProduct | undefined
type Choice = Pick<Filters, 'category' | 'brands' | 'minPrice' | 'maxPrice' | 'inStock'>

/** How the shown order would go wrong: positive if the first of two neighbours belongs after the second. */
const AFTER: Partial<Record<Sort, (first: LiveProduct['product'], second: LiveProduct['product']) => number>> = {
  'price-low': (first, second) => cents(first.price) - cents(second.price),
  'price-high': (first, second) => cents(second.price) - cents(first.price),
  rating: (first, second) => second.rating - first.rating,
  popular: (first, second) => second.reviewCount - first.reviewCount,
}

/** What live changes have made wrong in a list that was right when it was read. */
export function staleness(ids: readonly string[], filters: Choice & Pick<Filters, 'sort'>, known: Known): 'order' | 'choice' | null {
  const products = ids.flatMap((id) => known(id) ?? [])
  if (products.some((live) => !isChosen(live, filters))) return 'choice'
  const after = AFTER[filters.sort]
  if (!after) return null
  return products.some(({ product }, index) => {
    const next = products[index + 1]
    return next !== undefined && after(product, next.product) > 0
  })
    ? 'order'
    : null
}

/** Whether the product belongs in a list of `choice`, as far as the page can tell: what a search finds only the shop knows. */
export function isChosen({ product, removed }: LiveProduct, { category, brands, minPrice, maxPrice, inStock }: Choice): boolean {
  if (removed) return true // It says so itself, and the list is read again.
  if (inStock && product.inventory <= 0) return false
  if (minPrice !== null && cents(product.price) < cents(minPrice)) return false
  if (maxPrice !== null && cents(product.price) > cents(maxPrice)) return false
  if (brands.length > 0 && !brands.some((brand) => isSame(brand, product.brand))) return false
  return category === '' || isSame(category, product.category)
}

function isSame(one: string, other: string): boolean {
  return one.toLowerCase() === other.toLowerCase()
}
