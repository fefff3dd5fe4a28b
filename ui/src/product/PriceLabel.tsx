import type { LiveProduct } from '../live/catalogue'
import { money, percentOff } from '../lib/money'
import { useUntil } from '../lib/now'
import { NEWS_MS } from './stock'

/** The price on a label that hangs from the shelf's edge; yellow with the old price while it is lower than it was. */
export function PriceLabel({ live, was = null, large = false }: { live: LiveProduct; was?: number | null; large?: boolean }) {
  const { price } = live.product
  const before = live.droppedFrom ?? was
  const off = before === null ? 0 : percentOff(before, price)
  const justDropped = useUntil(live.droppedAt === 0 ? 0 : live.droppedAt + NEWS_MS)
  return (
    <p className={`hang inline-flex flex-wrap items-baseline gap-x-2 font-bold tabular-nums ${large ? 'px-5 pb-5 pt-3 text-4xl' : 'px-3 pb-3 pt-1 text-xl'} ${off > 0 ? 'bg-label text-on-label' : 'bg-well'}`} data-testid="price">
      {off > 0 && before !== null && (
        <>
          <span className="sr-only">Was</span>
          <s className={`font-normal ${large ? 'text-xl' : 'text-base'}`}>{money(before)}</s>
          <span className="sr-only">, now</span>
        </>
      )}
      {money(price)}
      {off > 0 && (
        <span className={large ? 'text-lg' : 'text-sm'}>
          {justDropped ? 'dropped ' : ''}−{off}%
        </span>
      )}
    </p>
  )
}
