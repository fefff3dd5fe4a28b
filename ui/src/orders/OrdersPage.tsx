import { useQuery } from '@tanstack/react-query'
import { Link } from 'wouter'

import { ordersQuery } from '../api/queries'
import { unitsIn } from '../cart/wishes'
import { orderHref } from '../lib/address'
import { count } from '../lib/locale'
import { money } from '../lib/money'
import { Name } from '../lib/Name'
import { dateAndTime } from '../lib/time'
import { Picture } from '../product/Picture'
import { Nothing } from '../product/Nothing'
import { Rows } from '../shell/Rows'
import { Trouble } from '../shell/Trouble'
import { useTitle } from '../shell/useTitle'
import type { Order } from '../wire'
import { isSettled } from './order'
import { StatusLabel } from './StatusLabel'

/** Pictures of an order that are shown before the rest is a number. */
const PICTURES = 4
/** How often the list is read while an order in it is pending, in milliseconds. */
const PENDING_REREAD_MS = 3_000

export function OrdersPage() {
  const { data: orders, error, refetch } = useQuery({
    ...ordersQuery,
    refetchInterval: ({ state }) => (state.data?.some((order) => !isSettled(order)) ? PENDING_REREAD_MS : false),
  })
  useTitle('Your orders')
  return (
    <div className="mx-auto max-w-3xl pt-8">
      <h1 className="text-3xl font-bold sm:text-[2.6rem]">Your orders</h1>
      {error && !orders && <Trouble error={error} what="Your orders could not be read" onRetry={() => void refetch()} />}
      {!orders && !error && (
        <>
          <p className="sr-only">Fetching your orders…</p>
          <Rows count={3} className="mt-6 border-t-4 border-line" />
        </>
      )}
      {orders?.length === 0 && <div className="mt-4"><Nothing text="None yet in this browser. They appear here as soon as you place one, in any tab." /></div>}
      {orders && orders.length > 0 && (
        <ul className="mt-6 divide-y divide-line border-t-4 border-edge">
          {orders.map((order) => (
            <Row key={order.orderId} order={order} />
          ))}
        </ul>
      )}
    </div>
  )
}

function Row({ order }: { order: Order }) {
  const units = unitsIn(order.items)
  const [first, ...others] = order.items
  return (
    <li className="relative flex flex-wrap items-center justify-between gap-x-6 gap-y-2 py-4" data-order={order.orderId}>
      <div className="flex min-w-0 grow basis-72 items-center gap-4">
        <Pictures order={order} />
        <div className="min-w-0">
          <Link href={orderHref(order.orderId)} className="inline-flex min-h-11 items-center font-semibold after:absolute after:inset-0 hover:underline hover:underline-offset-4">
            {dateAndTime(order.createdAt)}
          </Link>
          <p className="line-clamp-2 text-[0.95rem] text-soft">
            {first && <Name text={first.productName} />}
            {others.length > 0 && ` and ${count(others.length)} more`}, {count(units)} {units === 1 ? 'item' : 'items'}
          </p>
        </div>
      </div>
      <div className="ml-auto flex items-center gap-5 max-sm:w-full max-sm:justify-between">
        <span className="font-semibold tabular-nums">{money(order.payable.totalAmount)}</span>
        <StatusLabel status={order.status} />
      </div>
    </li>
  )
}

/** Up to four of an order's pictures in one square. */
function Pictures({ order }: { order: Order }) {
  const shown = order.items.slice(0, PICTURES)
  if (shown.length === 1) {
    const [item] = shown
    return <Picture productId={item?.productId ?? ''} url={item?.imageUrl} alt="" className="size-16 shrink-0 rounded-lg object-cover" />
  }
  return (
    <div className="grid size-16 shrink-0 auto-rows-fr grid-cols-2 gap-0.5 overflow-hidden rounded-lg">
      {shown.map((item, index) => (
        <div key={item.orderItemId} className={`min-h-0 ${index === 0 && shown.length === 3 ? 'col-span-2' : ''}`}>
          <Picture productId={item.productId} url={item.imageUrl} alt="" className="h-full w-full object-cover" />
        </div>
      ))}
    </div>
  )
}
