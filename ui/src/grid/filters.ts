/** What the shopper is looking at; kept in the address, so that it can be shared, reloaded and gone back to. */
export type Filters = {
  search: string
  category: string
  brands: readonly string[]
  /** Dollars; null = no limit. */
  minPrice: number | null
  maxPrice: number | null
  inStock: boolean
  sort: Sort
  /** The page of `STEP` products at which the list begins, from 1, and how many products it shows from there on. */
  page: number
  shown: number
}

export const SORTS = { featured: 'Featured', relevance: 'Best match', 'price-low': 'Price: low to high', 'price-high': 'Price: high to low', rating: 'Best rated', popular: 'Most reviewed', newest: 'Newest' } as const
export type Sort = keyof typeof SORTS

/** Products per page of the API, and per step of "Show more". Whole rows with 2, 3, 4 or 6 columns. */
export const STEP = 24
/** The longest list that is shown at once: browsers cut off pages of more than some ten million pixels. */
export const MOST_SHOWN = 4_800
/** Page numbers that are taken from an address: the API counts products in 32 bits. */
const LAST_PAGE = 10_000_000

export function isSort(text: string): text is Sort {
  return Object.hasOwn(SORTS, text)
}

/** The order of a list that asks for none: the best matches of a search, and the featured products of all else. */
export function defaultSort(search: string): Sort {
  return search.trim() ? 'relevance' : 'featured'
}

/** Reads the address; whatever it says wrongly falls back to the plain grid. */
export function readFilters(address: string): Filters {
  const query = new URLSearchParams(address)
  const search = (query.get('search') ?? '').slice(0, 100)
  const sort = query.get('sort') ?? ''
  return {
    search,
    category: query.get('category') ?? '',
    brands: [...new Set(query.getAll('brand').filter(Boolean))],
    minPrice: readPrice(query.get('minPrice')),
    maxPrice: readPrice(query.get('maxPrice')),
    inStock: query.get('inStock') === 'true',
    sort: isSort(sort) && (sort !== 'relevance' || search.trim()) ? sort : defaultSort(search),
    page: readCount(query.get('page'), 1, LAST_PAGE),
    shown: Math.ceil(readCount(query.get('shown'), STEP, MOST_SHOWN) / STEP) * STEP,
  }
}

function readCount(text: string | null, least: number, most: number): number {
  const count = Number(text ?? least)
  return Number.isInteger(count) ? Math.min(most, Math.max(least, count)) : least
}

/** An amount in dollars and cents as a shopper writes it, or null for anything else. */
export function readPrice(text: string | null): number | null {
  const plain = (text ?? '').trim().replace(/^\$/, '').replaceAll(',', '')
  return /^\d{1,9}(\.\d{0,2})?$/.test(plain) ? Number(plain) : null
}

/** The address of the grid with `filters`, without what is the default. */
export function hrefOf(filters: Partial<Filters>): string {
  const query = new URLSearchParams()
  select(query, filters, filters.sort === defaultSort(filters.search ?? '') ? undefined : filters.sort)
  if (filters.page && filters.page > 1) query.set('page', String(filters.page))
  if (filters.shown && filters.shown > STEP) query.set('shown', String(filters.shown))
  const text = query.toString()
  return text ? `/?${text}` : '/'
}

/** What a new choice starts from: the first page of whatever it gives. */
export const FROM_THE_START = { page: 1, shown: STEP } as const

function select(query: URLSearchParams, { search, category, brands, minPrice, maxPrice, inStock }: Partial<Filters>, sort?: Sort): void {
  if (search?.trim()) query.set('search', search.trim())
  if (category) query.set('category', category)
  if (sort) query.set('sort', sort)
  if (inStock) query.set('inStock', 'true')
  for (const brand of brands ?? []) query.append('brand', brand)
  if (typeof minPrice === 'number') query.set('minPrice', String(minPrice))
  if (typeof maxPrice === 'number') query.set('maxPrice', String(maxPrice))
}

/** The API's query for the products that are chosen, without order and place: also that of their facets. */
export function selectionOf(filters: Filters): string {
  const query = new URLSearchParams()
  select(query, filters)
  return query.toString()
}

/** The API's query for one page of the list. */
export function pageQueryOf(filters: Filters, page: number): string {
  const query = new URLSearchParams({ limit: String(STEP) })
  if (page > 1) query.set('page', String(page))
  select(query, filters, filters.sort)
  return query.toString()
}

/** Nothing chosen: the front page belongs above the list's start. */
export function isPlain(filters: Filters): boolean {
  return selectionOf(filters) === ''
}

/** How many choices the filter panel holds, for its button. */
export function choicesIn({ brands, minPrice, maxPrice, inStock }: Filters): number {
  return brands.length + (minPrice === null && maxPrice === null ? 0 : 1) + (inStock ? 1 : 0)
}
