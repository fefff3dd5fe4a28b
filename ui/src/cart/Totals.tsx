import { money } from '../lib/money'
import type { Quote } from '../wire'

/** The server's figures, never computed here. While a change is under way they are shown as such. */
export function Totals({ totals, waiting = false }: { totals: Quote; waiting?: boolean }) {
  const row = 'flex flex-wrap justify-between gap-x-4'
  return (
    <dl className={`grid content-start gap-1 tabular-nums ${waiting ? 'text-soft' : ''}`} aria-busy={waiting}>
      <div className={row}>
        <dt>Items</dt>
        <dd className="ml-auto">{money(totals.subtotal)}</dd>
      </div>
      <div className={row}>
        <dt>Tax</dt>
        <dd className="ml-auto">{money(totals.tax)}</dd>
      </div>
      <div className={row}>
        <dt>Shipping</dt>
        <dd className="ml-auto">{totals.shipping === 0 ? 'Free' : money(totals.shipping)}</dd>
      </div>
      <div className={`${row} mt-1 text-xl font-bold`}>
        <dt>Total</dt>
        <dd className="ml-auto" data-testid="total">{waiting ? 'Updating…' : money(totals.totalAmount)}</dd>
      </div>
    </dl>
  )
}
