import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { useEffect, useRef } from 'react'
import { Link, useLocation } from 'wouter'

import { listingQuery } from '../api/queries'
import { useSearch } from '../lib/address'
import { announce } from '../lib/announcer'
import { ProductCard } from '../product/ProductCard'
import { Trouble } from '../shell/Trouble'
import { useTitle } from '../shell/useTitle'
import { EmptyShop } from './EmptyShop'
import { FilterBar } from './FilterBar'
import { apiQueryOf, hrefOf, readFilters, STEP, type Filters } from './filters'
import { Ticker } from './Ticker'

/** Products whose pictures load before the page is scrolled. */
const FIRST_SCREEN = 8

export function GridPage() {
  const filters = readFilters(useSearch())
  const { data: found, error, isPlaceholderData, refetch } = useQuery({ ...listingQuery(apiQueryOf(filters)), placeholderData: keepPreviousData })
  const shown = found?.slice(0, filters.shown)
  const isPlain = !filters.search && !filters.category && !filters.inStock
  useTitle(filters.search ? `“${filters.search}”` : filters.category)
  useCountAnnounced(filters, isPlaceholderData ? undefined : shown?.length, found !== undefined && found.length > filters.shown)

  return (
    <>
      <div className="flex flex-wrap items-end justify-between gap-x-8 gap-y-3 pt-6 sm:pt-8">
        <h1 className="text-3xl font-bold sm:text-[2.6rem]">{headline(filters)}</h1>
        <Ticker />
      </div>
      {!(isPlain && shown?.length === 0) && <FilterBar filters={filters} />}
      {shown && shown.length > 0 ? (
        <>
          <h2 className="sr-only">Products</h2>
          <ul className={`mt-6 grid grid-cols-2 transition-opacity md:grid-cols-3 lg:grid-cols-4 ${isPlaceholderData ? 'opacity-60' : ''}`} aria-busy={isPlaceholderData}>
            {shown.map((productId, index) => (
              <ProductCard key={productId} productId={productId} eager={index < FIRST_SCREEN} />
            ))}
          </ul>
          {found !== undefined && found.length > filters.shown && <ShowMore filters={filters} />}
        </>
      ) : error ? (
        <Trouble error={error} what="The shelves could not be read" onRetry={() => void refetch()} />
      ) : !shown ? (
        <Shelves />
      ) : isPlain ? (
        <EmptyShop />
      ) : (
        <div className="py-16">
          <h2 className="text-2xl font-bold">Nothing on the shelves matches</h2>
          <Link href="/" className="btn-plain mt-5">
            Show everything
          </Link>
        </div>
      )}
    </>
  )
}

function headline({ search, category }: Filters): string {
  if (search) return category ? `“${search}” in ${category}` : `“${search}”`
  return category || 'On the shelves now'
}

function ShowMore({ filters }: { filters: Filters }) {
  const [, navigate] = useLocation()
  return (
    <p className="flex justify-center">
      <button type="button" className="btn-plain" onClick={() => navigate(hrefOf({ ...filters, shown: filters.shown + STEP }), { replace: true })}>
        Show more
      </button>
    </p>
  )
}

/** Says how many products a new filter gave; not for the first page and not for live changes. */
function useCountAnnounced(filters: Filters, count: number | undefined, more: boolean): void {
  const asked = apiQueryOf(filters)
  const said = useRef<string | null>(null)
  useEffect(() => {
    if (count === undefined || said.current === asked) return
    if (said.current !== null) announce(count === 0 ? 'No products match' : `${count} products shown${more ? ', more are there' : ''}`)
    said.current = asked
  }, [asked, count, more])
}

/** Empty shelves in the products' places while the first answer is out. */
function Shelves() {
  return (
    <div className="mt-6 grid grid-cols-2 md:grid-cols-3 lg:grid-cols-4" aria-hidden>
      {Array.from({ length: FIRST_SCREEN }, (_, place) => (
        <div key={place} className="pb-8">
          <div className="px-2 sm:px-3">
            <div className="aspect-square rounded-t-xl bg-well" />
          </div>
          <div className="border-t-4 border-line px-2 sm:px-3">
            <div className="hang h-10 w-24 bg-well" />
            <div className="mt-3 h-5 w-4/5 rounded bg-well" />
            <div className="mt-2 h-4 w-1/2 rounded bg-well" />
          </div>
        </div>
      ))}
    </div>
  )
}
