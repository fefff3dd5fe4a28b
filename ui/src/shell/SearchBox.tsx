import { Search } from 'lucide-react'
import { useEffect, useRef, useState } from 'react'
import { useLocation } from 'wouter'

import { defaultSort, FROM_THE_START, hrefOf, readFilters, type Filters } from '../grid/filters'
import { useMedia } from '../grid/useMedia'
import { useSearch } from '../lib/address'
import { track } from '../track/track'

/** Typing searches after this pause, in milliseconds. */
const PAUSE_MS = 180

/**
 * Searches while typing, from every page. The address holds the search: the first result of one stretch of typing is a step that Back takes
 * back, the others replace it.
 */
export function SearchBox() {
  const [path, navigate] = useLocation()
  const address = useSearch()
  const filters = readFilters(address)
  const onGrid = path === '/' || path === '/products'
  const applied = onGrid ? filters.search : ''
  const isRoomy = useMedia('(min-width: 40rem)')
  const [text, setText] = useState(applied)
  const [seen, setSeen] = useState(applied)
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined)
  const hasStep = useRef(false)

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
    if (!onGrid && term === '') return
    if (term) track('PRODUCT_SEARCH', { searchQuery: term })
    navigate(hrefOf({ ...(onGrid ? kept(filters) : {}), ...FROM_THE_START, search: term }), { replace: onGrid && hasStep.current })
    hasStep.current = true
  }

  return (
    <form
      role="search"
      className="relative min-w-0 max-w-xl grow"
      onSubmit={(event) => {
        event.preventDefault()
        search(text)
        hasStep.current = false
      }}
    >
      <Search size={19} aria-hidden className="pointer-events-none absolute left-2.5 top-1/2 sm:left-3.5 -translate-y-1/2 text-soft" />
      <input
        type="search"
        aria-label="Search the shop"
        placeholder={isRoomy ? 'Search name, brand or tag' : 'Search'}
        maxLength={100}
        enterKeyHint="search"
        value={text}
        onChange={({ target }) => {
          setText(target.value)
          clearTimeout(timer.current)
          timer.current = setTimeout(() => search(target.value), PAUSE_MS)
        }}
        onBlur={() => (hasStep.current = false)}
        className="field pl-9 sm:pl-11"
      />
    </form>
  )
}

/** A search keeps the other choices; an order that was not chosen follows the search. */
function kept({ sort, ...choices }: Filters): Partial<Filters> {
  return sort === defaultSort(choices.search) ? choices : { ...choices, sort }
}
