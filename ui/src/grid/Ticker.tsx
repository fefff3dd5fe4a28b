import { Link } from 'wouter'

import { productHref } from '../lib/address'
import { moves, type Move } from '../live/moves'
import { money } from '../lib/money'
import { useNow } from '../lib/now'
import { useObservable } from '../lib/observable'
import { ago } from '../lib/time'

/** The last thing that happened in the shop. Its place does not depend on what it says, so that no change shifts the shelves. */
export function Ticker() {
  const [latest] = useObservable(moves)
  const now = useNow(1_000)
  return (
    <div className="flex min-h-11 w-full min-w-0 items-center text-[0.95rem] text-soft md:w-auto md:grow md:basis-72 md:justify-end" data-testid="ticker">
      {latest ? (
        <p key={latest.key} className="animate-arrive flex min-w-0 items-center gap-2">
          <span className="shrink-0 font-bold tabular-nums text-ink">{what(latest)}</span>
          <Link href={productHref(latest.productId)} className="link inline-flex min-h-11 min-w-0 items-center text-ink">
            <span className="truncate">{latest.name}</span>
          </Link>
          <span className="shrink-0 tabular-nums">{ago(latest.at, now)}</span>
        </p>
      ) : (
        <p>Whatever moves shows here at once.</p>
      )}
    </div>
  )
}

function what({ units, price }: Move): string {
  if (price !== null) return `Now ${money(price)}`
  return units < 0 ? `${-units} out` : `${units} in`
}
