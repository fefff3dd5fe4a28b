import { HISTORY_MINUTES } from '../api/queries'
import { ago } from '../lib/time'
import type { ProductChange } from '../wire'
import { courseFrom, courseOf } from './history'

const WIDTH = 480
const HEIGHT = 140

/** Stock over the last hour, or since the product came, as a step line. The list beside it says the same in words. */
export function StockLine({ changes, now }: { changes: readonly ProductChange[]; now: number }) {
  const hourAgo = now - HISTORY_MINUTES * 60_000
  const from = courseFrom(changes, hourAgo, now)
  const corners = courseOf(changes, from, now)
  if (corners.length === 0) return null
  const most = Math.max(1, ...corners.map(([, stock]) => stock))
  const to = corners.at(-1)?.[0] ?? now
  const x = (at: number) => ((at - from) / (to - from)) * WIDTH
  const y = (stock: number) => HEIGHT - (stock / most) * (HEIGHT - 12)
  const path = corners.map(([at, stock], index) => (index === 0 ? `M${x(at)} ${y(stock)}` : `H${x(at)}V${y(stock)}`)).join('')
  return (
    <figure aria-hidden className="min-w-0">
      <svg viewBox={`0 -4 ${WIDTH} ${HEIGHT + 8}`} className="h-auto w-full overflow-visible">
        <path d={`${path}V${HEIGHT}H0Z`} className="fill-leaf/15" />
        <path d={path} fill="none" className="stroke-leaf" strokeWidth="2.5" strokeLinejoin="round" vectorEffect="non-scaling-stroke" />
        <path d={`M0 ${HEIGHT}H${WIDTH}`} className="stroke-edge" strokeWidth="4" />
      </svg>
      <figcaption className="mt-1 flex justify-between text-[0.95rem] text-soft">
        <span>{from === hourAgo ? 'an hour ago' : ago(from, now)}</span>
        <span>highest {most}</span>
        <span>now</span>
      </figcaption>
    </figure>
  )
}
