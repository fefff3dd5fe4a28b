import { useQuery } from '@tanstack/react-query'
import { useEffect, useRef } from 'react'
import { Link, useLocation } from 'wouter'

import { categoriesQuery, statusQuery } from '../api/queries'
import { useCatalogueIsWhole, useKnownCategories } from '../live/catalogue'
import { track } from '../track/track'
import { hrefOf, isSort, SORTS, STEP, type Filters } from './filters'

/** Category, stock and order. Each choice is an address. */
export function FilterBar({ filters }: { filters: Filters }) {
  const [, navigate] = useLocation()
  const categories = useCategories(filters.category)
  const nav = useRef<HTMLElement>(null)
  useEffect(() => {
    const chosen = categories.includes(filters.category) ? nav.current?.querySelector<HTMLElement>('[aria-current]') : null
    if (nav.current && chosen) nav.current.scrollLeft = chosen.offsetLeft - (nav.current.clientWidth - chosen.offsetWidth) / 2
  }, [filters.category, categories])
  const go = (change: Partial<Filters>) => navigate(hrefOf({ ...filters, shown: STEP, ...change }))
  return (
    <div className="mt-4 flex flex-wrap items-center justify-between gap-x-6 gap-y-3">
      {/* One row that scrolls on a phone, faded where it goes on; the padding leaves room for the focus ring. */}
      <nav
        ref={nav}
        aria-label="Categories"
        className="relative max-sm:-mx-4 max-sm:-my-1.5 max-sm:max-w-[100vw] max-sm:overflow-x-auto max-sm:px-4 max-sm:py-1.5 max-sm:[mask-image:linear-gradient(to_right,transparent,#000_1rem,#000_calc(100%-1.75rem),transparent)] max-sm:[scrollbar-width:none]"
      >
        <ul className="flex gap-1 max-sm:w-max sm:flex-wrap">
          {['', ...categories].map((category) => (
            <li key={category}>
              <Link
                href={hrefOf({ ...filters, category, shown: STEP })}
                onClick={() => category && track('CATEGORY_BROWSE', { category })}
                aria-current={category === filters.category ? 'true' : undefined}
                className="inline-flex min-h-11 items-center whitespace-nowrap rounded-lg px-2.5 font-medium sm:px-3 hover:bg-well aria-[current=true]:bg-ink aria-[current=true]:text-paper"
              >
                {category || 'Everything'}
              </Link>
            </li>
          ))}
        </ul>
      </nav>
      <div className="flex flex-wrap items-center gap-x-4 gap-y-2">
        <label className="inline-flex min-h-11 items-center gap-2.5">
          <input type="checkbox" className="size-5 accent-leaf" checked={filters.inStock} onChange={({ target }) => go({ inStock: target.checked })} />
          In stock only
        </label>
        <select
          aria-label="Sort by"
          className="field w-auto"
          value={filters.sort}
          onChange={({ target }) => {
            if (!isSort(target.value)) return
            track('SORT_CHANGE', { sortBy: target.value })
            go({ sort: target.value })
          }}
        >
          {Object.entries(SORTS).map(([sort, name]) => (
            <option key={sort} value={sort}>
              {name}
            </option>
          ))}
        </select>
      </div>
    </div>
  )
}

/** Categories of the pushed catalogue, or where that is too large to be pushed, of its best-liked part. */
function useCategories(chosen: string): readonly string[] {
  const known = useKnownCategories()
  const isWhole = useCatalogueIsWhole()
  const { data: status } = useQuery(statusQuery)
  const { data: read } = useQuery({ ...categoriesQuery, enabled: !isWhole && status?.catalog === 'live' })
  const categories = isWhole || !read ? known : read
  return chosen && !categories.includes(chosen) ? [...categories, chosen] : categories
}
