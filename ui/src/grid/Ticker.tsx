import { Link } from 'wouter'

import { moves, type Move } from '../live/moves'
import { money } from '../lib/money'
import { useNow } from '../lib/now'
import { useObservable } from '../lib/observable'
import { ago } from '../lib/time'

/** The last thing that happened in the shop. Keeps its line from the start, so that the first change shifts nothing. */
export function Ticker() {
  const [latest] = useObservable(moves)
  const now = useNow(1_000)
  return (
    <div className="flex min-h-11 min-w-0 max-w-full items-center text-[0.95rem] text-soft" data-testid="ticker">
      {latest && (
        <p key={latest.key} className="animate-arrive flex min-w-0 items-center gap-2">
          <span className="shrink-0 font-bold tabular-nums text-ink">{what(latest)}</span>
          <Link href={`/product/${encodeURIComponent(latest.productId)}`} className="link inline-flex min-h-11 min-w-0 items-center text-ink">
            <span className="truncate">{latest.name}</span>
          </Link>
          <span className="shrink-0 tabular-nums">{ago(latest.at, now)}</span>
        </p>
      )}
    </div>
  )
}

function what({ units, price }: Move): string {
  if (price !== null) return `Now ${money(price)}`
  return units < 0 ? `${-units} out` : `${units} in`
}
