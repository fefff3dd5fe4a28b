import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { startTransition, useDeferredValue, useEffect, useRef, useState } from 'react'

import { listingQuery, queryClient, type Listing } from '../api/queries'
import { ProductCard } from '../product/ProductCard'
import { isRestoring } from '../shell/places'
import { pageQueryOf, STEP, type Filters } from './filters'
import { EmptyShelves, Grid } from './Grid'

/** Products whose pictures load before the page is scrolled. */
const FIRST_SCREEN = 8
/** A page's height until one was seen, in pixels. */
const GUESS = 2_600
let typical = GUESS

type Props = {
  /** The list begins at the top of the page: its first pictures are in sight at once. */
  eager: boolean
  filters: Filters
  page: number
  /** Products of this page, if the shop has said how many there are. */
  products: number
  /** Stays in the document wherever the view is. */
  stays: boolean
}

/** One page of the list. Far from the view it is a gap of its height: no cards, no question to the shop. */
export function Block({ filters, eager, page, products, stays }: Props) {
  const box = useRef<HTMLDivElement>(null)
  const gap = useGap(box, stays)
  const { data, isPlaceholderData, error, refetch } = useQuery({ ...listingQuery(pageQueryOf(filters, page)), enabled: gap === null, placeholderData: keepPreviousData })
  // While the view moves along a long list, cards are drawn between its frames and not all in one.
  const later = useDeferredValue(data)
  const list = stays ? data : later
  const from = (page - 1) * STEP + 1
  const isFirst = page === filters.page
  // The first screen is drawn at once, the rest right after it; but all where something follows, which the rest would push away.
  const [atOnce] = useState(() => (filters.shown === STEP && !isRestoring() ? FIRST_SCREEN : STEP))
  const drawn = useDeferredValue(STEP, atOnce)
  return (
    <div ref={box} data-page={page} style={gap === null ? undefined : { height: gap }}>
      {gap === null &&
        (list ? (
          <Grid label={`Products ${from} to ${from + list.ids.length - 1}`} busy={isPlaceholderData}>
            {withoutEarlier(list, filters, page).slice(0, drawn).map((productId, index) => (
              <ProductCard key={productId} productId={productId} eager={eager && isFirst && index < FIRST_SCREEN} />
            ))}
          </Grid>
        ) : error ? (
          <p className="flex flex-wrap items-center gap-4 py-6">
            These products could not be read.
            <button type="button" className="btn-plain" onClick={() => void refetch()}>
              Try again
            </button>
          </p>
        ) : (
          <EmptyShelves places={products} />
        ))}
    </div>
  )
}

/** Pages are read one after another while the order goes on changing: what moved down meanwhile is not shown a second time. */
function withoutEarlier({ ids }: Listing, filters: Filters, page: number): readonly string[] {
  const earlier = new Set<string>()
  for (let before = filters.page; before < page; before++) {
    const list = queryClient.getQueryData(listingQuery(pageQueryOf(filters, before)).queryKey)
    for (const id of list?.ids ?? []) earlier.add(id)
  }
  return earlier.size === 0 ? ids : ids.filter((id) => !earlier.has(id))
}

/** Null while the box belongs in the document, or the height of the gap that it leaves. */
function useGap(box: React.RefObject<HTMLDivElement | null>, stays: boolean): number | null {
  const [gap, setGap] = useState<number | null>(stays ? null : typical)
  useEffect(() => {
    const element = box.current
    if (stays || !element) return
    const observer = new IntersectionObserver(
      (entries) => {
        const near = entries.at(-1)?.isIntersecting ?? true
        // Who has the keyboard here keeps it, however far the view is scrolled away.
        const belongs = near || element.contains(document.activeElement)
        if (!belongs && element.offsetHeight > 0) typical = element.offsetHeight
        startTransition(() => setGap(belongs ? null : typical))
      },
      { rootMargin: '200% 0px' },
    )
    observer.observe(element)
    return () => observer.disconnect()
  }, [box, stays])
  return stays ? null : gap
}
