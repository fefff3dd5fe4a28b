/** What the shopper is looking at; kept in the address, so that it can be shared, reloaded and gone back to. */
export type Filters = { search: string; category: string; sort: Sort; inStock: boolean; shown: number }

export const SORTS = { featured: 'Featured', 'price-low': 'Price: low to high', 'price-high': 'Price: high to low', rating: 'Best rated', popular: 'Most reviewed', newest: 'Newest' } as const
export type Sort = keyof typeof SORTS

/** Products per step of "Show more". */
export const STEP = 24
/** The API's largest `limit`. */
const MOST = 1000

export function isSort(text: string): text is Sort {
  return Object.hasOwn(SORTS, text)
}

/** Reads the address; whatever it says wrongly falls back to the plain grid. */
export function readFilters(search: string): Filters {
  const query = new URLSearchParams(search)
  const sort = query.get('sort') ?? ''
  const shown = Number(query.get('shown') ?? STEP)
  return {
    search: (query.get('search') ?? '').slice(0, 100),
    category: query.get('category') ?? '',
    sort: isSort(sort) ? sort : 'featured',
    inStock: query.get('inStock') === 'true',
    shown: Number.isInteger(shown) ? Math.min(MOST, Math.max(STEP, shown)) : STEP,
  }
}

/** The address of the grid with `filters`, without what is the default. */
export function hrefOf(filters: Partial<Filters>): string {
  const query = new URLSearchParams()
  if (filters.search) query.set('search', filters.search)
  if (filters.category) query.set('category', filters.category)
  if (filters.sort && filters.sort !== 'featured') query.set('sort', filters.sort)
  if (filters.inStock) query.set('inStock', 'true')
  if (filters.shown && filters.shown > STEP) query.set('shown', String(filters.shown))
  const text = query.toString()
  return text ? `/?${text}` : '/'
}

/** The API's query: one product more than shown tells whether there are more. */
export function apiQueryOf({ search, category, sort, inStock, shown }: Filters): string {
  const query = new URLSearchParams({ sort, limit: String(Math.min(MOST, shown + 1)) })
  if (search.trim()) query.set('search', search.trim())
  if (category) query.set('category', category)
  if (inStock) query.set('inStock', 'true')
  return query.toString()
}
