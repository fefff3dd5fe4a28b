import { useQuery } from '@tanstack/react-query'
import { useState, type FormEvent } from 'react'
import { Link } from 'wouter'

import { money } from '../../lib/money'
import { ask, askRaw } from '../api'
import { span } from '../format'
import { Badge, Empty, Failure, PageFrame, Panel, Scroll, type Tone } from '../kit/kit'
import { useDraft } from '../draft'
import { linkTo, useParam } from '../params'

export type OrderSummary = { orderId: string; session: string | null; status: string; total: number | null; createdAt: number | null; ageMs: number | null; products: string[]; waiting: number; unreadable?: string }
type OrdersPageAnswer = { orders: OrderSummary[]; cursor: string | null }

const STATUSES = ['PENDING', 'CONFIRMED', 'BACKORDERED', 'REJECTED'] as const
const TONES: Record<string, Tone> = { PENDING: 'info', CONFIRMED: 'good', BACKORDERED: 'low', REJECTED: 'bad' }

export function StatusBadge({ status }: { status: string }) {
  return <Badge tone={TONES[status] ?? 'quiet'}>{status.toLowerCase()}</Badge>
}

/** A session's id is a credential: it goes in a header, and stays out of the address. */
async function read(path: string, session: string, signal: AbortSignal): Promise<OrdersPageAnswer> {
  if (session === '') return ask<OrdersPageAnswer>(path, { signal })
  return (await (await askRaw(path, { signal, headers: { 'x-kartshoppe-session': session } })).json()) as OrdersPageAnswer
}

export default function OrdersPage() {
  const [id, setId] = useParam('id')
  const [product, setProduct] = useParam('product')
  const [status, setStatus] = useParam('status')
  const [olderThan, setOlderThan] = useParam('olderThan')
  const [cursor, setCursor] = useParam('cursor')
  const [session, setSession] = useState('')
  const path = linkTo('/admin/orders', { id, product, status, olderThan, cursor })
  // The id is no part of the key either: keys are shown by tools.
  const [asked, setAsked] = useState(0)
  const orders = useQuery({ queryKey: ['admin', path, 'orders', asked], queryFn: ({ signal }) => read(path, session, signal), refetchInterval: 3_000 })
  const find = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const form = new FormData(event.currentTarget)
    const text = (name: string) => String(form.get(name) ?? '').trim()
    setSession(text('session'))
    setId(text('id'))
    setProduct(text('product'))
    setStatus(text('status'))
    setOlderThan(text('olderThan'))
    setCursor('')
    setAsked((before) => before + 1)
  }
  return (
    <PageFrame title="Orders" lead="Newest first. An order's page shows its whole way, and where it waits.">
      <form onSubmit={find} className="grid items-end gap-3 sm:grid-cols-3 lg:grid-cols-6">
        <Field name="id" label="Order" value={id} />
        <Field name="product" label="Product" value={product} />
        <StatusChoice value={status} />
        <Field name="olderThan" label="Older than" value={olderThan} placeholder="30s, 5m, 2h" />
        <Field name="session" label="Session id" value={session} type="password" placeholder="not kept in the address" />
        <button type="submit" className="act-main">
          Find
        </button>
      </form>
      <Failure error={orders.error} what="Orders" />
      <Panel title="Orders" flush>
        <Table orders={orders.data?.orders ?? []} loaded={orders.data !== undefined} />
      </Panel>
      <div className="flex gap-2">
        {cursor !== '' && (
          <button type="button" className="act" onClick={() => setCursor('')}>
            Newest
          </button>
        )}
        {orders.data?.cursor && (
          <button type="button" className="act" onClick={() => setCursor(orders.data?.cursor ?? '')}>
            Older
          </button>
        )}
      </div>
    </PageFrame>
  )
}

function StatusChoice({ value }: { value: string }) {
  const [draft, setDraft] = useDraft(value)
  return (
    <label className="grid gap-1 text-sm font-semibold">
      Status
      <select name="status" className="input font-normal" value={draft} onChange={(event) => setDraft(event.target.value)}>
        <option value="">any</option>
        {STATUSES.map((one) => (
          <option key={one} value={one}>
            {one.toLowerCase()}
          </option>
        ))}
      </select>
    </label>
  )
}

function Field({ name, label, value, placeholder, type = 'text' }: { name: string; label: string; value: string; placeholder?: string; type?: string }) {
  const [draft, setDraft] = useDraft(value)
  return (
    <label className="grid gap-1 text-sm font-semibold">
      {label}
      <input name={name} type={type} autoComplete="off" className="input font-normal" value={draft} onChange={(event) => setDraft(event.target.value)} placeholder={placeholder} />
    </label>
  )
}

function Table({ orders, loaded }: { orders: readonly OrderSummary[]; loaded: boolean }) {
  if (orders.length === 0) return <Empty>{loaded ? 'No order fits.' : 'Reading the orders.'}</Empty>
  return (
    <Scroll label="Orders">
      <table className="tbl">
        <thead>
          <tr>
            <th>Order</th>
            <th>Status</th>
            <th>Products</th>
            <th className="right">Ordered for</th>
            <th className="right">Age</th>
            <th className="right">Items waiting</th>
            <th>Session</th>
          </tr>
        </thead>
        <tbody>
          {orders.map((order) => (
            <tr key={order.orderId}>
              <td className="code">
                <Link href={`/orders/${encodeURIComponent(order.orderId)}`} className="link">
                  {order.orderId}
                </Link>
              </td>
              <td>{order.unreadable ? <Badge tone="bad">{order.unreadable}</Badge> : <StatusBadge status={order.status} />}</td>
              <td>{order.products.join(', ')}</td>
              <td className="right">{money(order.total)}</td>
              <td className="right">{order.ageMs === null ? '–' : span(order.ageMs)}</td>
              <td className="right">{order.waiting}</td>
              <td className="code">{order.session ?? '–'}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Scroll>
  )
}
