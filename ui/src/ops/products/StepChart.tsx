import { count } from '../../lib/locale'
import { money } from '../../lib/money'
import { dateAndTime } from '../../lib/time'
import { courseOf, span, type Change, type Series } from './timeline'

const WIDTH = 720
const HEIGHT = 110
const INSET = 8

/** Stock and price over the changes, as step lines; the list below says the same in words. */
export function StepChart({ changes, at }: { changes: readonly Change[]; at: number | null }) {
  const [least, most] = span(changes)
  const place = at === null ? null : Math.min(1, Math.max(0, (at - least) / Math.max(1, most - least)))
  return (
    <figure className="grid gap-3">
      <Course series="stock" changes={changes} place={place} />
      <Course series="price" changes={changes} place={place} />
      <figcaption className="flex flex-wrap justify-between gap-x-4 text-sm text-soft">
        <span>{dateAndTime(least)}</span>
        <span>{dateAndTime(most)}</span>
      </figcaption>
    </figure>
  )
}

const NAMES: Record<Series, string> = { stock: 'Stock', price: 'Price' }

function Course({ series, changes, place }: { series: Series; changes: readonly Change[]; place: number | null }) {
  const points = courseOf(changes, series)
  if (points.length === 0) return null
  const values = points.map(([, value]) => value)
  const [lowest, highest] = [Math.min(...values), Math.max(...values)]
  const floor = series === 'stock' ? 0 : lowest
  const x = (at: number) => Math.round(at * WIDTH * 10) / 10
  const y = (value: number) => Math.round((HEIGHT - INSET - ((value - floor) / Math.max(0.01, highest - floor)) * (HEIGHT - 2 * INSET)) * 10) / 10
  const path = points.map(([at, value], index) => (index === 0 ? `M${x(at)} ${y(value)}` : `H${x(at)}V${y(value)}`)).join('') + `H${WIDTH}`
  const shown = (value: number) => (series === 'stock' ? count(value) : money(value))
  const text = `${NAMES[series]}: from ${shown(values[0] ?? 0)} to ${shown(values.at(-1) ?? 0)}, lowest ${shown(lowest)}, highest ${shown(highest)}.`
  return (
    <div data-series={series}>
      <p className="flex flex-wrap justify-between gap-x-4 text-sm">
        <span className="font-semibold">{NAMES[series]}</span>
        <span className="num text-soft">
          lowest {shown(lowest)}, highest {shown(highest)}
        </span>
      </p>
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label={text} className="mt-1 block h-auto w-full overflow-visible">
        <path d={path} fill="none" className={series === 'stock' ? 'stroke-leaf' : 'stroke-back'} strokeWidth="2" vectorEffect="non-scaling-stroke" />
        <path d={`M0 ${HEIGHT}H${WIDTH}`} className="stroke-edge" strokeWidth="1" />
        {place !== null && <path d={`M${x(place)} 0V${HEIGHT}`} className="stroke-ink" strokeWidth="1.5" strokeDasharray="4 3" />}
      </svg>
    </div>
  )
}
