import { useQuery } from '@tanstack/react-query'

import { statusQuery } from '../api/queries'
import { rereadAt } from '../live/reread'
import { feed } from '../live/shopfront'
import type { Connection } from '../live/feed'
import { useObservable } from '../lib/observable'
import { timeOfDay } from '../lib/time'
import type { Status } from '../wire'

/**
 * Says so when what is on the page may not be current, and why; empty while all is well. It is a live region, there from the start, and
 * lies over the page's lower edge, so that it moves nothing when it comes and goes.
 */
export function ConnectionBanner() {
  const connection = useObservable(feed.connection)
  const { data: status } = useQuery(statusQuery)
  const text = textOf(connection, status, useObservable(rereadAt))
  return (
    <div aria-live="polite" aria-atomic="true" data-testid="banner" className="pointer-events-none fixed inset-x-0 bottom-0 z-30 sm:inset-x-auto sm:bottom-4 sm:left-4 sm:max-w-[36rem]">
      {text && <p className="pointer-events-auto border-l-8 border-low bg-ink px-4 py-3 text-[0.95rem] leading-snug text-paper shadow-xl sm:rounded-lg">{text}</p>}
    </div>
  )
}

function textOf({ phase, since }: Connection, status: Status | undefined, readAt: number): string | null {
  if (readAt > 0) return `No live connection here: prices, stock and orders are read every few seconds, last at ${timeOfDay(readAt)}. You can shop as usual.`
  if (phase === 'offline') return `Offline. Prices and stock are those of ${timeOfDay(since)}; the page comes back by itself.`
  if (phase === 'stale') return `Stale since ${timeOfDay(since)}: prices and stock may have moved. Connecting again…`
  if (phase === 'catching-up') return 'Connected again, catching up with what you missed…'
  if (status && status.inventory !== 'running' && status.catalog !== 'empty') {
    const when = status.since ? ` since ${timeOfDay(status.since)}` : ''
    return `No inventory is running${when}: stock does not move. You can order; orders settle when it is back.`
  }
  return null
}
