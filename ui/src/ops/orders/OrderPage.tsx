import { Link, useParams } from 'wouter'

import { money } from '../../lib/money'
import { dateAndTime, preciseTime } from '../../lib/time'
import { usePoll } from '../api'
import { span } from '../format'
import { Badge, Failure, PageFrame, Panel, Scroll } from '../kit/kit'
import { ActorLink, RecordLink, TraceLink } from '../kit/links'
import { StatusBadge } from './OrdersPage'

type Place = { topic: string; partition: number; offset: number; time: number }
type Step = { stop: string; at: number | null; gapMs: number | null; clock: string; place?: Place; actor?: string; note?: string }
type Item = { orderItemId: string; productId: string; productName: string | null; quantity: number; allocated: number | null; shortfall: number | null; publishVia: string; traceId: string | null; steps: Step[]; waitsFor: { text: string; actor: string } | null }
type Way = { orderId: string; session: string | null; status: string; total: number; createdAt: number; updatedAt: number; items: Item[]; complete: boolean }

const STOPS: Record<string, string> = {
  placed: 'Row in PostgreSQL',
  published: 'Record on order-events',
  answered: 'Outcome on inventory-events',
  stored: 'State on products',
  pushed: 'Frame for pages',
  settled: 'Outcome in PostgreSQL',
}

export default function OrderPage() {
  const { id = '' } = useParams<{ id: string }>()
  const way = usePoll<Way>(`/admin/orders/${encodeURIComponent(id)}`, 5_000)
  const order = way.data
  return (
    <PageFrame title={`Order ${id}`} lead={order && `ordered for ${money(order.total)}, placed ${dateAndTime(order.createdAt)}, session ${order.session ?? 'unknown'}`} actions={order && <StatusBadge status={order.status} />}>
      <Failure error={way.error} what="Order" />
      {order && !order.complete && <p className="text-low">The log was not read to its end in time: what is missing here may only not have been found yet.</p>}
      {order?.items.map((item) => (
        <ItemWay key={item.orderItemId} item={item} />
      ))}
    </PageFrame>
  )
}

function ItemWay({ item }: { item: Item }) {
  const got = item.allocated === null ? 'no answer yet' : `got ${item.allocated} of ${item.quantity}`
  return (
    <Panel title={`${item.quantity} × ${item.productName ?? item.productId}`} note={`${got}, published ${item.publishVia === 'wal' ? 'from the WAL' : 'directly'}`} flush>
      <p className="flex flex-wrap gap-x-5 gap-y-1 border-b border-line px-4 py-2 text-sm">
        <Link href={`/products/${encodeURIComponent(item.productId)}`} className="link">
          {item.productId}
        </Link>
        <span className="code">item {item.orderItemId}</span>
        {item.traceId && <TraceLink id={item.traceId} />}
      </p>
      {item.waitsFor && (
        <p className="border-b border-line px-4 py-3" data-testid="waits">
          <Badge tone="low">waits</Badge> {item.waitsFor.text}: <ActorLink id={item.waitsFor.actor} />
        </p>
      )}
      <Scroll label={`Way of ${item.productId}`}>
        <table className="tbl">
          <thead>
            <tr>
              <th>Stop</th>
              <th className="right">Time</th>
              <th className="right">After</th>
              <th>Where</th>
              <th>By</th>
            </tr>
          </thead>
          <tbody>
            {item.steps.map((step) => (
              <tr key={step.stop} data-stop={step.stop} data-reached={step.at !== null}>
                <td className="font-semibold">
                  {STOPS[step.stop] ?? step.stop}
                  {step.note && <span className="block text-sm font-normal text-soft">{step.note}</span>}
                </td>
                <td className="right">{step.at === null ? <Badge tone="quiet">not reached</Badge> : preciseTime(step.at)}</td>
                <td className="right">{step.gapMs === null ? '' : span(step.gapMs)}</td>
                <td className="code">{step.place ? <RecordLink {...step.place} /> : step.clock === 'database' ? 'PostgreSQL' : ''}</td>
                <td>{step.actor && <ActorLink id={step.actor} />}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </Scroll>
    </Panel>
  )
}
