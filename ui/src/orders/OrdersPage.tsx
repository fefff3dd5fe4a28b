import { useQuery } from '@tanstack/react-query'
import { Link } from 'wouter'

import { ordersQuery } from '../api/queries'
import { unitsIn } from '../cart/wishes'
import { orderHref } from '../lib/address'
import { money } from '../lib/money'
import { dateAndTime } from '../lib/time'
import { Trouble } from '../shell/Trouble'
import { useTitle } from '../shell/useTitle'
import { StatusLabel } from './StatusLabel'

export function OrdersPage() {
  const { data: orders, error, refetch } = useQuery(ordersQuery)
  useTitle('Your orders')
  return (
    <div className="mx-auto max-w-3xl pt-8">
      <h1 className="text-3xl font-bold sm:text-[2.6rem]">Your orders</h1>
      {error && !orders && <Trouble error={error} what="Your orders could not be read" onRetry={() => void refetch()} />}
      {!orders && !error && <p className="mt-6 text-soft">Fetching your orders…</p>}
      {orders?.length === 0 && (
        <div className="mt-6">
          <p className="text-soft">None yet in this browser.</p>
          <Link href="/" className="btn-plain mt-4">
            Look at the shelves
          </Link>
        </div>
      )}
      {orders && orders.length > 0 && (
        <ul className="mt-6 divide-y divide-line border-t-4 border-edge">
          {orders.map((order) => {
            const units = unitsIn(order.items)
            return (
              <li key={order.orderId} className="relative flex flex-wrap items-center justify-between gap-x-6 gap-y-1 py-4">
                <div>
                  <Link href={orderHref(order.orderId)} className="font-semibold after:absolute after:inset-0 hover:underline hover:underline-offset-4">
                    {dateAndTime(order.createdAt)}
                  </Link>
                  <p className="text-[0.95rem] text-soft">
                    {order.items[0]?.productName}
                    {order.items.length > 1 && ` and ${order.items.length - 1} more`}, {units} {units === 1 ? 'item' : 'items'}
                  </p>
                </div>
                <div className="flex items-center gap-5 max-sm:w-full max-sm:justify-between">
                  <span className="font-semibold tabular-nums">{money(order.totalAmount)}</span>
                  <StatusLabel status={order.status} />
                </div>
              </li>
            )
          })}
        </ul>
      )}
    </div>
  )
}
