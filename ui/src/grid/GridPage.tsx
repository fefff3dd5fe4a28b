import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { SlidersHorizontal } from 'lucide-react'
import { useDeferredValue, useEffect, useRef, useState } from 'react'
import { Link, useLocation } from 'wouter'

import { facetsQuery, frontQuery, listingQuery, type Listing } from '../api/queries'
import { useSearch } from '../lib/address'
import { announce } from '../lib/announcer'
import { count } from '../lib/locale'
import { Popular } from '../product/Popular'
import { Trouble } from '../shell/Trouble'
import { RESULTS } from '../shell/useArrivals'
import { useTitle } from '../shell/useTitle'
import { Categories } from './Categories'
import { Chosen } from './Chosen'
import { EmptyShop } from './EmptyShop'
import { Facets } from './Facets'
import { FilterDialog } from './FilterDialog'
import { choicesIn, FROM_THE_START, hrefOf, isPlain, pageQueryOf, readFilters, selectionOf, STEP, type Filters } from './filters'
import { FrontPage } from './FrontPage'
import { EmptyShelves } from './Grid'
import { ProductList, type Extent } from './ProductList'
import { SortSelect } from './SortSelect'
import { StaleNote } from './StaleNote'
import { useMedia } from './useMedia'

/** From here on the filters stand beside the list, and order and stock above it. */
const WIDE = '(min-width: 80rem)'
const MIDDLE = '(min-width: 48rem)'

export function GridPage() {
  const filters = readFilters(useSearch())
  const { data: list, error, isPlaceholderData, refetch } = useQuery({ ...listingQuery(pageQueryOf(filters, filters.page)), placeholderData: keepPreviousData })
  const extent = list && extentOf(filters, list)
  const isFront = isPlain(filters) && filters.page === 1 && filters.sort === 'featured'
  const isEmpty = isPlain(filters) && extent?.shown === 0 && filters.page === 1
  // A page that opens with what stands above the shelves shows it before them, so that it moves nothing.
  const [opensWithFront] = useState(isFront)
  const { isPending } = useQuery({ ...frontQuery, enabled: isFront })
  useTitle(filters.search ? `“${filters.search}”` : filters.category)
  useCountAnnounced(filters, isPlaceholderData ? undefined : extent)

  if (opensWithFront && isFront && isPending) return <Unfurnished />
  return (
    <>
      {isFront && !isEmpty && <FrontPage />}
      <div className={isFront && !isEmpty ? 'pt-10' : 'pt-6 sm:pt-8'}>
        <Headline filters={filters} isSecond={isFront && !isEmpty} />
        {!isEmpty && (
          <Shelves filters={filters} extent={extent}>
            {extent ? (
              extent.shown > 0 ? (
                <>
                  {!isFront && <h2 className="sr-only">Products</h2>}
                  <ProductList filters={filters} extent={extent} eager={!isFront} />
                </>
              ) : (
                <NoMatch filters={filters} total={extent.total ?? 0} />
              )
            ) : error ? (
              <Trouble error={error} what="The shelves could not be read" onRetry={() => void refetch()} />
            ) : (
              <EmptyShelves places={STEP} />
            )}
          </Shelves>
        )}
        {isEmpty && <EmptyShop />}
      </div>
    </>
  )
}

function Unfurnished() {
  return (
    <div className="pt-8">
      <div className="h-52" />
      <EmptyShelves places={6} />
    </div>
  )
}

function Headline({ filters: { search, category }, isSecond }: { filters: Filters; isSecond: boolean }) {
  const text = search ? (category ? `“${search}” in ${category}` : `“${search}”`) : category || 'On the shelves now'
  // The list's head: where the focus goes when the list was renewed.
  const props = { id: RESULTS, tabIndex: -1, className: `scroll-mt-4 font-bold outline-none wrap-anywhere ${isSecond ? 'text-2xl sm:text-3xl' : 'text-3xl sm:text-[2.6rem]'}` }
  return isSecond ? <h2 {...props}>{text}</h2> : <h1 {...props}>{text}</h1>
}

/** The list with its filters: above and beside it, or behind one button where there is no room. */
function Shelves({ filters, extent, children }: { filters: Filters; extent: Extent | undefined; children: React.ReactNode }) {
  const [, navigate] = useLocation()
  const { data: facets } = useQuery({ ...facetsQuery(selectionOf(filters)), placeholderData: keepPreviousData })
  const [isWide, isMiddle] = [useMedia(WIDE), useMedia(MIDDLE)]
  const [open, setOpen] = useState(false)
  // The column beside the list is filled once the products are drawn; its room is there from the start.
  const isDrawn = useDeferredValue(true, false)
  const summary = useRef<HTMLParagraphElement>(null)
  const choose = (change: Partial<Filters>) => navigate(hrefOf({ ...filters, ...FROM_THE_START, ...change }))
  const names = facets?.categories.map(({ name }) => name).filter(Boolean).toSorted((a, b) => a.localeCompare(b)) ?? []
  const inStock = (
    <label className="inline-flex min-h-11 items-center gap-2.5">
      <input type="checkbox" className="size-5 accent-leaf" checked={filters.inStock} onChange={({ target }) => choose({ inStock: target.checked })} />
      In stock only
    </label>
  )
  const choices = choicesIn(filters)
  const said = extent ? summaryOf(filters, extent) : ''
  return (
    <>
      <div className="mt-3">
        <Categories filters={filters} names={filters.category && !names.includes(filters.category) ? [...names, filters.category] : names} />
      </div>
      <div className="mt-2 flex min-h-11 flex-wrap items-center justify-between gap-x-5 gap-y-2">
        <p ref={summary} tabIndex={-1} data-testid="count" className="tabular-nums text-soft outline-none">
          {said}
        </p>
        <div className="flex items-center gap-x-5">
          {isMiddle && inStock}
          {isMiddle && <SortSelect filters={filters} onChoose={(sort) => choose({ sort })} className="w-auto" />}
          {!isWide && (
            <button type="button" aria-haspopup="dialog" onClick={() => setOpen(true)} className="btn-plain">
              <SlidersHorizontal size={18} aria-hidden />
              Filter{choices > 0 && <span className="rounded-md bg-label px-1.5 font-bold text-on-label">{choices}</span>}
            </button>
          )}
        </div>
      </div>
      <Chosen filters={filters} onChoose={choose} />
      <div className="mt-5 gap-8 xl:flex">
        {isWide && (
          <aside aria-label="Filters" className="sticky top-20 max-h-[calc(100dvh-6rem)] w-56 shrink-0 self-start overflow-y-auto overscroll-contain py-1 pr-1 pl-1 -ml-1">
            {isDrawn && <Facets filters={filters} found={facets} onChoose={choose} />}
          </aside>
        )}
        <div className="min-w-0 grow">
          <StaleNote filters={filters} pages={Math.ceil((extent?.shown ?? 0) / STEP)} onRefresh={() => summary.current?.focus({ preventScroll: true })} />
          {children}
        </div>
      </div>
      <FilterDialog open={open && !isWide} onClose={() => setOpen(false)} result={extent ? `Show ${products(extent.total ?? extent.shown)}` : 'Show products'}>
        {!isMiddle && (
          <div className="flex flex-col gap-4">
            <SortSelect filters={filters} onChoose={(sort) => choose({ sort })} />
            {inStock}
          </div>
        )}
        <Facets filters={filters} found={facets} onChoose={choose} />
      </FilterDialog>
    </>
  )
}

function extentOf({ page, shown }: Filters, { ids, total }: Listing): Extent {
  const first = (page - 1) * STEP
  if (total === null) return { shown: ids.length < STEP ? ids.length : shown, total, more: ids.length === STEP }
  const there = Math.max(0, Math.min(shown, total - first))
  return { shown: there, total, more: first + there < total }
}

function products(total: number): string {
  return total === 1 ? '1 product' : `${count(total)} products`
}

function summaryOf({ page }: Filters, { shown, total }: Extent): string {
  if (total === null) return products(shown)
  if (total === 0) return 'No products'
  const first = (page - 1) * STEP
  return shown < total ? `Showing ${count(first + 1)}\u2013${count(first + shown)} of ${products(total)}` : products(total)
}

function NoMatch({ filters, total }: { filters: Filters; total: number }) {
  const beyond = total > 0
  return (
    <div className="py-10">
      <h2 className="text-2xl font-bold">{beyond ? 'The list ends before this page' : 'Nothing on the shelves matches'}</h2>
      <p className="mt-2 max-w-prose text-soft">{beyond ? `It has ${products(total)}.` : 'Try fewer filters or another word.'}</p>
      <Link href={beyond ? hrefOf({ ...filters, page: Math.ceil(total / STEP), shown: STEP }) : '/'} className="btn-plain mt-5">
        {beyond ? 'Go to the last page' : 'Show everything'}
      </Link>
      {!beyond && <Popular />}
    </div>
  )
}

/** Says how many products a new choice gave; not for the first page and not for live changes. */
function useCountAnnounced(filters: Filters, extent: Extent | undefined): void {
  const asked = pageQueryOf(filters, filters.page)
  const said = useRef<string | null>(null)
  const text = extent && (extent.shown === 0 ? 'No products match' : summaryOf(filters, extent))
  useEffect(() => {
    if (text === undefined || said.current === asked) return
    if (said.current !== null) announce(text)
    said.current = asked
  }, [asked, text])
}
