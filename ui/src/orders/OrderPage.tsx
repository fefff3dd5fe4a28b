import { useQuery } from '@tanstack/react-query'
import { useEffect, useRef } from 'react'
import { Link } from 'wouter'

import { Refused } from '../api/http'
import { orderQuery, statusQuery } from '../api/queries'
import { Totals } from '../cart/Totals'
import { paymentName } from '../checkout/payments'
import { announce } from '../lib/announcer'
import { useNow } from '../lib/now'
import { dateAndTime } from '../lib/time'
import { NotFound } from '../shell/NotFound'
import { Trouble } from '../shell/Trouble'
import { useTitle } from '../shell/useTitle'
import type { Order, Status } from '../wire'
import { isSettled } from './order'
import { OrderLine } from './OrderLine'
import { StatusLabel, STATUS_TEXT } from './StatusLabel'

/** A direct order that has not settled after this long waits for its rescue by the log's reader. In milliseconds. */
const DIRECT_EXPIRES_MS = 15_000

export function OrderPage({ orderId }: { orderId: string }) {
  const { data: order, error, refetch } = useQuery(orderQuery(orderId))
  useTitle('Order')
  useSettlementAnnounced(order)
  if (!order) {
    if (!error) return <p className="py-16 text-soft">Fetching your order…</p>
    return error instanceof Refused && error.problem.status === 404 ? <NotFound what="order" /> : <Trouble error={error} what="Your order could not be read" onRetry={() => void refetch()} />
  }
  return (
    <div className="mx-auto max-w-3xl pt-8" data-order={order.orderId} data-status={order.status}>
      <Link href="/orders" className="link inline-flex min-h-11 items-center text-[0.95rem] text-soft">
        Your orders
      </Link>
      <div className="mt-1 flex flex-wrap items-center justify-between gap-x-6 gap-y-3">
        <h1 className="text-3xl font-bold sm:text-[2.6rem]">{STATUS_TEXT[order.status].headline}</h1>
        <StatusLabel status={order.status} />
      </div>
      <Explanation order={order} />
      <ul className="mt-6 divide-y divide-line border-t-4 border-edge" aria-label="Items">
        {order.items.map((item) => (
          <OrderLine key={item.orderItemId} item={item} />
        ))}
      </ul>
      <div className="grid gap-8 border-t border-line pt-5 sm:grid-cols-2">
        <dl className="grid content-start gap-3 text-[0.95rem]">
          <div>
            <dt className="text-soft">Order</dt>
            <dd className="break-all">{order.orderId}</dd>
          </div>
          <div>
            <dt className="text-soft">Placed</dt>
            <dd>{dateAndTime(order.createdAt)}</dd>
          </div>
          {order.shippingAddress && (
            <div>
              <dt className="text-soft">To</dt>
              <dd>{addressText(order)}</dd>
            </div>
          )}
          {order.paymentInfo && (
            <div>
              <dt className="text-soft">Paying by</dt>
              <dd>{paymentName(order.paymentInfo.paymentMethod)}</dd>
            </div>
          )}
          <div>
            <dt className="text-soft">Way to the inventory</dt>
            <dd>{order.useCdc ? 'By change data capture' : 'Sent by the shop itself'}</dd>
          </div>
        </dl>
        <Totals totals={order} />
      </div>
    </div>
  )
}

function addressText({ shippingAddress }: Order): string {
  if (!shippingAddress) return ''
  const { name, street, city, state, zipCode, country } = shippingAddress
  return [name, street, [zipCode, city].filter(Boolean).join(' '), state, country].filter(Boolean).join(', ')
}

/** What happens next, or what came out. */
function Explanation({ order }: { order: Order }) {
  const { data: status } = useQuery(statusQuery)
  const now = useNow(1_000)
  return (
    <p className="mt-3 max-w-prose text-soft" data-testid="explanation">
      {isSettled(order) ? STATUS_TEXT[order.status].text : whatItWaitsFor(order, status, now)}
    </p>
  )
}

function whatItWaitsFor(order: Order, status: Status | undefined, now: number): string {
  const byReader = order.useCdc || now - order.createdAt > DIRECT_EXPIRES_MS
  if (byReader && status && status.cdc !== 'running') return 'It is written down and waits for the reader of the database’s log, which is not running. It settles by itself when the reader starts.'
  if (status && status.inventory !== 'running') return 'It is written down and waits for the inventory, which is not running. It settles by itself when the inventory starts.'
  return order.useCdc ? 'It is written down; the reader of the database’s log is passing it on to the inventory.' : 'It is written down and on its way to the inventory.'
}

/** Tells screen readers how an order came out that was pending when the page opened. */
function useSettlementAnnounced(order: Order | undefined): void {
  const wasPending = useRef(false)
  useEffect(() => {
    if (!order) return
    if (!isSettled(order)) {
      wasPending.current = true
      return
    }
    if (wasPending.current) announce(`${STATUS_TEXT[order.status].headline}. ${STATUS_TEXT[order.status].text}`)
    wasPending.current = false
  }, [order])
}
