import { rereadAt } from '../live/reread'
import { feed } from '../live/shopfront'
import { useObservable } from '../lib/observable'
import { timeOfDay } from '../lib/time'

const NAMES = { connecting: 'Connecting', live: 'Live', 'catching-up': 'Catching up', stale: 'Stale', offline: 'Offline' }
const LOOKS = {
  connecting: 'border-2 border-soft rounded-full',
  live: 'bg-leaf rounded-full',
  'catching-up': 'border-2 border-back rounded-full',
  stale: 'bg-low rotate-45',
  offline: 'border-2 border-out',
}

/** The connection in one word, with a shape of its own for each. */
export function LiveMark() {
  const { phase, since } = useObservable(feed.connection)
  const reading = useObservable(rereadAt) > 0
  return (
    <span data-connection={phase} title={phase === 'live' ? 'Prices and stock are live' : `Last word from the shop: ${timeOfDay(since)}`} className="inline-flex items-center gap-2 text-[0.95rem] text-soft lg:min-w-28 shrink-0">
      <span aria-hidden className={`inline-block size-2.5 ${LOOKS[phase]}`} />
      <span className="max-lg:sr-only">{reading ? 'Not live' : NAMES[phase]}</span>
    </span>
  )
}
