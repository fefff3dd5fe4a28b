import { useQuery } from '@tanstack/react-query'
import { useEffect, useRef, type ReactNode } from 'react'
import { Link } from 'wouter'

import { Refused } from '../api/http'
import { orderQuery, statusQuery } from '../api/queries'
import { Totals } from '../cart/Totals'
import { paymentName } from '../checkout/payments'
import { announce } from '../lib/announcer'
import { cents, money } from '../lib/money'
import { Words } from '../lib/Name'
import { useNow } from '../lib/now'
import { dateAndTime } from '../lib/time'
import { NotFound } from '../shell/NotFound'
import { Rows } from '../shell/Rows'
import { Trouble } from '../shell/Trouble'
import { useTitle } from '../shell/useTitle'
import type { Order, Status } from '../wire'
import { isSettled } from './order'
import { OrderLine } from './OrderLine'
import { OrderTimeline } from './OrderTimeline'
import { StatusLabel, STATUS_TEXT } from './StatusLabel'
import { noteTold } from './told'

/** A direct order that has not settled after this long waits for its rescue by the log's reader. In milliseconds. */
const DIRECT_EXPIRES_MS = 15_000

export function OrderPage({ orderId }: { orderId: string }) {
  const { data: order, error, refetch } = useQuery(orderQuery(orderId))
  useTitle('Order')
  useSettlementAnnounced(order)
  if (!order) {
    if (!error) return <Waiting />
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
      {order.status === 'REJECTED' && (
        <Link href="/" className="btn-main mt-4">
          See what is in stock
        </Link>
      )}
      <ul className="mt-6 divide-y divide-line border-t-4 border-edge" aria-label="Items">
        {order.items.map((item) => (
          <OrderLine key={item.orderItemId} item={item} />
        ))}
      </ul>
      <div className="grid gap-8 border-t border-line pt-5 sm:grid-cols-2">
        <Facts order={order} />
        <Sums order={order} />
      </div>
      <OrderTimeline order={order} />
    </div>
  )
}

/** The order's place while it is on its way. */
function Waiting() {
  return (
    <div className="mx-auto max-w-3xl pt-8">
      <h1 className="sr-only">Order</h1>
      <p className="flex min-h-11 items-center text-soft">Fetching your order…</p>
      <div aria-hidden className="mt-2 h-11 w-2/3 rounded bg-well" />
      <Rows count={1} className="mt-16 border-t-4 border-line" />
    </div>
  )
}

function Facts({ order }: { order: Order }) {
  return (
    <dl className="grid min-w-0 content-start gap-3 text-[0.95rem]">
      <Fact name="Order">
        <span className="break-all">{order.orderId}</span>
      </Fact>
      <Fact name="Placed">{dateAndTime(order.createdAt)}</Fact>
      {order.shippingAddress && (
        <Fact name="Delivery address">
          <Words text={addressText(order)} />
        </Fact>
      )}
      {order.paymentInfo && (
        <Fact name="Payment">
          <Words text={paymentName(order.paymentInfo.paymentMethod)} />
        </Fact>
      )}
      <Fact name="Route">{order.useCdc ? 'Change data capture' : 'Published by the shop'}</Fact>
    </dl>
  )
}

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div>
      <dt className="text-soft">{name}</dt>
      <dd>{children}</dd>
    </div>
  )
}

/** What is to be paid, and what was asked for where that is more. */
function Sums({ order: { payable, totalAmount } }: { order: Order }) {
  return (
    <div>
      <Totals totals={payable} />
      {cents(payable.totalAmount) !== cents(totalAmount) && (
        <p className="mt-2 text-right text-[0.95rem] tabular-nums text-soft">
          {isNothing(payable.totalAmount) ? 'Nothing is charged. ' : 'For what is reserved. '}You ordered for <s>{money(totalAmount)}</s>.
        </p>
      )}
    </div>
  )
}

const isNothing = (amount: number) => cents(amount) === 0

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
  if (byReader && status && status.cdc !== 'running') return 'We have your order. The change-data-capture reader is offline; your order will be confirmed when it’s back.'
  if (status && status.inventory !== 'running') return 'We have your order. Inventory is offline; it will be confirmed when it’s back.'
  return order.useCdc ? 'We have your order. The change-data-capture reader is passing it on to inventory.' : 'We have your order and are reserving your items.'
}

/** Announces to screen readers the outcome of an order that was pending when the page opened, and notes when this page knew. */
function useSettlementAnnounced(order: Order | undefined): void {
  const wasPending = useRef(false)
  useEffect(() => {
    if (!order) return
    if (!isSettled(order)) {
      wasPending.current = true
      return
    }
    noteTold(order.orderId, Date.now())
    if (wasPending.current) announce(`${STATUS_TEXT[order.status].headline}. ${STATUS_TEXT[order.status].text}`)
    wasPending.current = false
  }, [order])
}
