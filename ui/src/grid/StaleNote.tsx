import { useEffect, useState } from 'react'

import { listingQuery, queryClient } from '../api/queries'
import { announce } from '../lib/announcer'
import { catalogue } from '../live/catalogue'
import { pageQueryOf, type Filters } from './filters'
import { staleness } from './stale'

/** How often the list is compared with what the shop has pushed, in milliseconds. */
const COMPARED_EVERY_MS = 1_000
const TEXTS = { order: 'Order changed', choice: 'Matches changed' }

/**
 * Says that live changes have made the list's order or choice wrong, and puts it right when asked: by itself the list would move under
 * the shopper's hand. It lies over the shelves, so that it moves nothing either. `onRefresh` gets the focus away before it vanishes.
 */
export function StaleNote({ filters, pages, onRefresh }: { filters: Filters; pages: number; onRefresh: () => void }) {
  const wrong = useStaleness(filters, pages)
  useEffect(() => {
    if (wrong) announce(`${TEXTS[wrong]}. A button before the products refreshes the list.`)
  }, [wrong])
  const refresh = () => {
    onRefresh()
    for (const queryKey of [['listing'], ['facets']]) void queryClient.invalidateQueries({ queryKey })
    announce('The list is up to date')
  }
  return (
    <div className="pointer-events-none sticky top-20 z-10 flex h-0 justify-center">
      {wrong && (
        <button type="button" onClick={refresh} className="animate-arrive btn pointer-events-auto h-11 bg-ink text-paper shadow-xl hover:bg-leaf hover:text-on-leaf">
          {TEXTS[wrong]} · Refresh
        </button>
      )}
    </div>
  )
}

function useStaleness(filters: Filters, pages: number): 'order' | 'choice' | null {
  const key = Array.from({ length: pages }, (_, index) => pageQueryOf(filters, filters.page + index)).join('\n')
  const [found, setFound] = useState<{ key: string; wrong: 'order' | 'choice' | null }>({ key, wrong: null })
  useEffect(() => {
    let compared = -1
    let lists: unknown[] = []
    const compare = () => {
      const read = key.split('\n').map((query) => queryClient.getQueryData(listingQuery(query).queryKey))
      if (compared === catalogue.revision && read.every((list, index) => list === lists[index])) return
      compared = catalogue.revision
      lists = read
      const wrong = staleness(read.flatMap((list) => list?.ids ?? []), filters, (id) => catalogue.get(id))
      setFound((before) => (before.key === key && before.wrong === wrong ? before : { key, wrong }))
    }
    compare()
    const timer = setInterval(compare, COMPARED_EVERY_MS)
    return () => clearInterval(timer)
    // The key holds every filter.
    // oxlint-disable-next-line react/exhaustive-deps
  }, [key])
  return found.key === key ? found.wrong : null
}
