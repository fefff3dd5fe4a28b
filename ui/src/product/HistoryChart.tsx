import { HISTORY_MINUTES } from '../api/queries'
import { count } from '../lib/locale'
import { money } from '../lib/money'
import { ago } from '../lib/time'
import type { Product, ProductChange } from '../wire'
import { courseFrom, courseOf, type Corner, type Series } from './history'

const WIDTH = 480
const HEIGHT = 96
/** Room above and below a course, so that its line and marks are whole. */
const INSET = 9

type Props = { product: Product; changes: readonly ProductChange[]; own: readonly ProductChange[]; now: number }

/** Stock and price over the last hour, or since the product came, as step lines one above the other. The list beside it says the same in words. */
export function HistoryChart({ product, changes, own, now }: Props) {
  const hourAgo = now - HISTORY_MINUTES * 60_000
  const from = courseFrom(changes, hourAgo, now)
  const shared = { from, own: own.filter(({ timestamp }) => timestamp >= from) }
  return (
    <figure className="min-w-0">
      <Panel series="stock" corners={courseOf(changes, 'stock', product.inventory, from, now)} {...shared} />
      <Panel series="price" corners={courseOf(changes, 'price', product.price, from, now)} {...shared} />
      <figcaption className="mt-1 flex flex-wrap justify-between gap-x-4 text-[0.95rem] text-soft">
        <span>{from === hourAgo ? 'an hour ago' : ago(from, now)}</span>
        {shared.own.length > 0 && (
          <span className="inline-flex items-center gap-1.5">
            <svg viewBox="-8 -8 16 16" className="size-4" aria-hidden>
              <Mark />
            </svg>
            your {shared.own.length === 1 ? 'order' : 'orders'}
          </span>
        )}
        <span>now</span>
      </figcaption>
    </figure>
  )
}

const NAMES: Record<Series, string> = { stock: 'Stock', price: 'Price' }
const shown = (series: Series, value: number) => (series === 'stock' ? count(value) : money(value))

function Panel({ series, corners, from, own }: { series: Series; corners: readonly Corner[]; from: number; own: readonly ProductChange[] }) {
  const values = corners.map(([, value]) => value)
  const [lowest, highest] = [Math.min(...values), Math.max(...values)]
  const last = values.at(-1) ?? 0
  const scale = scaleOf(series, lowest, highest)
  const end = corners.at(-1)?.[0] ?? from
  const x = (at: number) => round(((at - from) / Math.max(1, end - from)) * WIDTH)
  const y = (value: number) => round(HEIGHT - INSET - ((value - scale.least) / (scale.most - scale.least)) * (HEIGHT - 2 * INSET))
  const path = corners.map(([at, value], index) => (index === 0 ? `M${x(at)} ${y(value)}` : `H${x(at)}V${y(value)}`)).join('')
  const flat = lowest === highest
  const text = flat ? `${NAMES[series]} over the last hour: ${shown(series, last)}, unchanged.` : `${NAMES[series]} over the last hour: from ${shown(series, values[0] ?? 0)} to ${shown(series, last)}, lowest ${shown(series, lowest)}, highest ${shown(series, highest)}.`
  const orders = own.length === 0 ? '' : ` Marked: ${own.length === 1 ? 'your order' : `your ${own.length} orders`}.`
  return (
    <div className="mb-3" data-series={series}>
      <p className="flex flex-wrap items-baseline justify-between gap-x-4 tabular-nums">
        <span className="font-semibold">{NAMES[series]}</span>
        <span className="text-[0.95rem] text-soft">{flat ? 'unchanged' : `lowest ${shown(series, lowest)}, highest ${shown(series, highest)}`}</span>
      </p>
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} width={WIDTH} height={HEIGHT} role="img" aria-label={text + orders} className="mt-1 block h-auto w-full overflow-visible">
        {series === 'stock' && <path d={`${path}V${HEIGHT}H0Z`} className="fill-leaf/15" />}
        <path d={path} fill="none" className={series === 'stock' ? 'stroke-leaf' : 'stroke-back'} strokeWidth="2.5" strokeLinejoin="round" vectorEffect="non-scaling-stroke" />
        <path d={`M0 ${HEIGHT}H${WIDTH}`} className="stroke-edge" strokeWidth={series === 'stock' ? 4 : 2} />
        {series === 'stock' &&
          own.map((change) => (
            <g key={`${change.life}/${change.version}`} transform={`translate(${x(change.timestamp)} ${y(change.currentInventory)})`} data-own-order={change.orderId}>
              <Mark />
            </g>
          ))}
      </svg>
    </div>
  )
}

/** One of the shopper's own orders. */
function Mark() {
  return <path d="M0-7 7 0 0 7-7 0Z" className="fill-label stroke-on-label" strokeWidth="1.5" />
}

/** Stock is drawn from nothing; a price between its extremes, in the middle while it stands still. */
function scaleOf(series: Series, lowest: number, highest: number): { least: number; most: number } {
  if (series === 'stock') return { least: 0, most: Math.max(1, highest) }
  return lowest === highest ? { least: lowest - 1, most: highest + 1 } : { least: lowest, most: highest }
}

const round = (length: number) => Math.round(length * 10) / 10
