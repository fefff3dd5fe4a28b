import { Search } from 'lucide-react'
import { useEffect, useRef, useState } from 'react'
import { useLocation } from 'wouter'

import { hrefOf, readFilters } from '../grid/filters'
import { useSearch } from '../lib/address'
import { track } from '../track/track'

/** Typing searches after this pause, in milliseconds. */
const PAUSE_MS = 180

/** Searches while typing on the grid, and on Enter from every other page. The address holds the search. */
export function SearchBox() {
  const [path, navigate] = useLocation()
  const address = useSearch()
  const filters = readFilters(address)
  const onGrid = path === '/' || path === '/products'
  const applied = onGrid ? filters.search : ''
  const [text, setText] = useState(applied)
  const [seen, setSeen] = useState(applied)
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined)

  // The address changed by other means (back, a cleared filter): the box follows it.
  if (seen !== applied) {
    setSeen(applied)
    if (applied !== text.trim()) setText(applied)
  }
  useEffect(() => () => clearTimeout(timer.current), [])

  const search = (wanted: string) => {
    clearTimeout(timer.current)
    const term = wanted.trim()
    if (onGrid && term === applied) return
    if (term) track('PRODUCT_SEARCH', { searchQuery: term })
    navigate(hrefOf({ ...(onGrid ? filters : {}), search: term, shown: 0 }), { replace: onGrid })
  }

  return (
    <form
      role="search"
      className="relative order-last w-full md:order-none md:w-auto md:max-w-xl md:grow md:basis-40"
      onSubmit={(event) => {
        event.preventDefault()
        search(text)
      }}
    >
      <Search size={19} aria-hidden className="pointer-events-none absolute left-3.5 top-1/2 -translate-y-1/2 text-soft" />
      <input
        type="search"
        aria-label="Search the shop"
        placeholder="Search name, brand or tag"
        maxLength={100}
        enterKeyHint="search"
        value={text}
        onChange={({ target }) => {
          setText(target.value)
          clearTimeout(timer.current)
          if (onGrid) timer.current = setTimeout(() => search(target.value), PAUSE_MS)
        }}
        className="field pl-11"
      />
    </form>
  )
}
