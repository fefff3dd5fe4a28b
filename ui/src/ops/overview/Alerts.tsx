import { Link } from 'wouter'

import { useNow } from '../../lib/now'
import { count } from '../../lib/locale'
import { plain } from '../../lib/text'
import { ago } from '../../lib/time'
import { usePoll } from '../api'
import { Badge, Empty, Failure, Panel, type Tone } from '../kit/kit'

export type Alert = { alertType: string; productId: string; message: string; severity: string; timestamp: number }
export type AlertsReport = { open: Alert[]; recent: Alert[] }

const SHOWN = 8
const TONES: Record<string, Tone> = { CRITICAL: 'bad', WARNING: 'low' }

/** The newest open alerts: products that are low or out of stock. */
export function Alerts() {
  const { data, error } = usePoll<AlertsReport>('/admin/alerts', 5_000)
  const now = useNow(5_000)
  const open = data?.open.toSorted((one, other) => other.timestamp - one.timestamp) ?? []
  return (
    <Panel title="Open alerts" note={<span className="num">{data && `${count(Math.min(SHOWN, open.length))} of ${count(open.length)}, newest first`}</span>} flush>
      <Failure error={error} what="Alerts" />
      {data && open.length === 0 && <Empty>Every product has enough in stock.</Empty>}
      <ul className="divide-y divide-line">
        {open.slice(0, SHOWN).map((alert) => (
          <li key={alert.productId} className="flex flex-wrap items-baseline justify-between gap-x-4 px-4 py-2">
            <span className="flex min-w-0 flex-wrap items-baseline gap-x-3">
              <Badge tone={TONES[alert.severity] ?? 'info'}>{alert.severity.toLowerCase()}</Badge>
              <Link className="link" href={`/products/${encodeURIComponent(alert.productId)}`}>
                {plain(alert.productId)}
              </Link>
              <span className="text-soft">{plain(alert.message)}</span>
            </span>
            <span className="num text-sm text-soft">{ago(alert.timestamp, now)}</span>
          </li>
        ))}
      </ul>
    </Panel>
  )
}
