import { useEffect, useLayoutEffect, useRef } from 'react'

import { cartDrawer } from '../cart/drawer'
import { usePathname, useSearch } from '../lib/address'
import { track } from '../track/track'
import { lastArrival, restorePlace } from './places'

/** The part of a page that a new choice renews; the view goes back to its start when that is scrolled away. */
export const RESULTS = 'results'

/**
 * On every new page: focus and reading start at its content, the view at its top, and it is tracked. Back, Forward and a reload lead to
 * where the view was.
 */
export function useArrivals(): void {
  const path = usePathname()
  const search = useSearch()
  const before = useRef<{ path: string; search: string } | null>(null)

  useEffect(() => track('PAGE_VIEW', { page: path }), [path])

  useLayoutEffect(() => {
    const isFirst = before.current === null
    const isNewPage = !isFirst && before.current?.path !== path
    const isNewChoice = !isFirst && before.current?.search !== search
    before.current = { path, search }
    if (isNewPage) {
      cartDrawer.set(false)
      // Who types into the search goes on typing on the page that it leads to.
      if (!document.activeElement?.matches('input[type=search]')) document.getElementById('main')?.focus({ preventScroll: true })
    }
    const arrival = lastArrival()
    if (arrival === 'pop' || isFirst) restorePlace()
    else if (isNewPage) scrollTo({ top: 0, behavior: 'instant' })
    else if (isNewChoice && arrival === 'push') showResults()
  }, [path, search])
}

function showResults(): void {
  const results = document.getElementById(RESULTS)
  if (results && results.getBoundingClientRect().top < 0) results.scrollIntoView({ behavior: 'instant' })
}
