import { money } from '../lib/money'
import { useNow } from '../lib/now'
import { ago, timeOfDay } from '../lib/time'
import type { ProductChange } from '../wire'
import { recentFirst, textOf } from './history'
import { StockLine } from './StockLine'

const SHOWN = 8

/** The last hour of a product: its stock as a line, its changes as a list. */
export function RecentChanges({ history }: { history: readonly ProductChange[] | undefined }) {
  const now = useNow(5_000)
  const changes = recentFirst(history ?? [])
  return (
    <section className="mt-14 border-t border-line pt-6" aria-labelledby="recent">
      <h2 id="recent" className="text-2xl font-bold">
        The last hour
      </h2>
      {changes.length === 0 ? (
        <p className="mt-3 text-soft">{history ? 'Nothing has moved.' : 'Reading…'}</p>
      ) : (
        <div className="mt-4 grid gap-x-14 gap-y-6 md:grid-cols-2">
          <StockLine changes={history ?? []} now={now} />
          <ol className="divide-y divide-line" data-testid="changes">
            {changes.slice(0, SHOWN).map((change) => (
              <li key={`${change.life}/${change.version}/${change.type}`} className="flex flex-wrap items-baseline gap-x-4 py-2.5">
                <span className="font-semibold">{textOf(change)}</span>
                <span className="text-soft">{change.type === 'PRICE_CHANGED' ? prices(change) : `${change.currentInventory} left`}</span>
                <time dateTime={new Date(change.timestamp).toISOString()} title={timeOfDay(change.timestamp)} className="ml-auto tabular-nums text-soft">
                  {ago(change.timestamp, now)}
                </time>
              </li>
            ))}
          </ol>
        </div>
      )}
    </section>
  )
}

function prices({ type, previousPrice, currentPrice }: ProductChange): string {
  return previousPrice === null || type === 'PRODUCT_ADDED' ? money(currentPrice) : `${money(previousPrice)} → ${money(currentPrice)}`
}
