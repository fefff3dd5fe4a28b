import { useNow } from '../lib/now'
import { ago, timeOfDay } from '../lib/time'
import { isMine } from '../orders/mine'
import type { Product, ProductChange } from '../wire'
import { HistoryChart } from './HistoryChart'
import { recentFirst, resultOf, textOf } from './history'

const SHOWN = 8

/** The last hour of a product: stock and price as lines, each change with its reason as a list. */
export function RecentChanges({ product, history }: { product: Product; history: readonly ProductChange[] | undefined }) {
  const now = useNow(5_000)
  const changes = recentFirst(history ?? [])
  const own = changes.filter(({ orderId }) => orderId !== null && isMine(orderId))
  return (
    <section className="mt-14 min-h-[26rem] border-t border-line pt-6" aria-labelledby="recent">
      <h2 id="recent" className="text-2xl font-bold">
        The last hour
      </h2>
      {history ? (
        <div className="mt-4 grid gap-x-14 gap-y-6 md:grid-cols-2">
          <HistoryChart product={product} changes={history} own={own} now={now} />
          {changes.length === 0 ? (
            <p className="text-soft">Nothing has changed in the last hour. Live changes appear here.</p>
          ) : (
            <ol className="min-w-0 divide-y divide-line" data-testid="changes">
              {changes.slice(0, SHOWN).map((change) => (
                <Row key={`${change.life}/${change.version}/${change.type}`} change={change} now={now} own={own.includes(change)} />
              ))}
            </ol>
          )}
        </div>
      ) : (
        <p className="mt-4 text-soft">Reading its changes…</p>
      )}
    </section>
  )
}

function Row({ change, now, own }: { change: ProductChange; now: number; own: boolean }) {
  return (
    <li className="flex flex-wrap items-baseline gap-x-4 py-2.5 tabular-nums">
      <span className="font-semibold">{textOf(change)}</span>
      {own && <span className="rounded bg-label px-1.5 text-[0.95rem] font-semibold text-on-label">your order</span>}
      <span className="text-soft">{resultOf(change)}</span>
      <time dateTime={new Date(change.timestamp).toISOString()} title={timeOfDay(change.timestamp)} className="ml-auto text-soft">
        {ago(change.timestamp, now)}
      </time>
    </li>
  )
}
