import type { CSSProperties } from 'react'

import type { LiveProduct } from '../live/catalogue'
import { money, percentOff } from '../lib/money'
import { useUntil } from '../lib/now'
import { NEWS_MS } from './stock'

/** A bold figure's width, in units of its font's size. */
const FIGURE = 0.6
/** Sizes of the price before and of the percentage, in units of the price's. */
const BEFORE = 0.7
const PERCENT = 0.7
const GAP = 0.75
/** What stands in one line of a large label at most, in figures. More would be too small to read on a phone, as on a card always: there the price before stands above. */
const IN_LINE = 16
/** What the label's padding leaves of its container's width, in percent. */
const ROOM = 80

/**
 * The price on a label that hangs from the shelf's edge; yellow with the old price while it is lower than it was. Of one height
 * whatever it says, so that no change of price moves what is below: its letters get smaller where it is long, and a narrow card leaves out the percentage.
 * A large one is measured by the container that it stands in beside other things, where it has no width of its own to fill.
 */
export function PriceLabel({ live, large = false }: { live: LiveProduct; large?: boolean }) {
  const { price, wasPrice, wasAt = 0 } = live.product
  const off = wasPrice === undefined ? 0 : percentOff(wasPrice, price)
  const justDropped = useUntil(wasAt === 0 ? 0 : wasAt + NEWS_MS)
  const [now, before, percent] = [money(price), money(wasPrice), `${justDropped && large ? 'dropped ' : ''}−${off}%`]
  const beside = off > 0 ? before.length * BEFORE + GAP : 0
  const rest = off > 0 ? percent.length * PERCENT + GAP : 0
  const stacked = off > 0 && (!large || now.length + beside > IN_LINE)
  const narrow = stacked ? Math.max(now.length, beside) : now.length + beside
  const wide = stacked ? Math.max(now.length, beside + rest) : narrow + rest
  const most = large ? 2.25 : 1.25
  return (
    <div className={large ? 'max-w-full' : '@container'}>
      <p
        className={`hang max-w-full items-center gap-x-[0.4em] ${stacked ? 'inline-grid content-center justify-start' : 'inline-flex'} whitespace-nowrap align-top font-bold leading-none tabular-nums [font-size:var(--narrow)] @min-[10rem]:[font-size:var(--wide)] forced-colors:pb-0 ${large ? 'h-18 px-5 pb-2' : 'h-11 px-2.5 pb-2 sm:px-3'} ${off > 0 ? 'bg-label text-on-label' : 'bg-well'}`}
        style={{ '--narrow': sizeFor(narrow, most), '--wide': sizeFor(wide, most) } as CSSProperties}
        data-testid="price"
      >
        {off > 0 && (
          <>
            <span className="sr-only">Was</span>
            <s className="text-[max(0.7em,0.75rem)] font-normal">{before}</s>
            <span className="sr-only">, now</span>
          </>
        )}
        <span className={stacked ? 'col-span-2' : ''}>{now}</span>
        {off > 0 && (
          <span className={`text-[max(0.7em,0.75rem)] @max-[10rem]:sr-only ${stacked ? 'col-start-2 row-start-1' : ''}`}>
            {justDropped && !large && <span className="sr-only">dropped </span>}
            {percent}
          </span>
        )}
      </p>
    </div>
  )
}

/** The font's size with which so many figures fit their container, at most so many rem. */
export function sizeFor(figures: number, most: number): string {
  return `min(${most}rem, ${(ROOM / (figures * FIGURE)).toFixed(1)}cqi)`
}
