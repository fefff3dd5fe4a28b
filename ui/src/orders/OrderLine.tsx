import { Link } from 'wouter'

import { hrefOf } from '../grid/filters'
import { productHref } from '../lib/address'
import { count } from '../lib/locale'
import { money } from '../lib/money'
import { Name } from '../lib/Name'
import { useLiveProduct } from '../live/catalogue'
import { Picture } from '../product/Picture'
import { useAdd } from '../product/useAdd'
import type { OrderItem } from '../wire'
import { outcomeOf } from './order'

/** One item: what was asked for, what is reserved, what is unavailable, and what can be done about that. */
export function OrderLine({ item }: { item: OrderItem }) {
  const outcome = outcomeOf(item)
  return (
    <li className="flex gap-3 py-4 sm:gap-4" data-item={item.productId} data-outcome={outcome}>
      <Picture productId={item.productId} url={item.imageUrl} alt="" className="size-16 shrink-0 rounded-lg object-cover sm:size-20" />
      <div className="min-w-0 grow">
        <div className="flex flex-wrap items-start justify-between gap-x-3">
          <Link href={productHref(item.productId)} className="link min-h-11 min-w-0 grow basis-24 py-2.5 font-semibold leading-snug">
            <span className="line-clamp-3">
              <Name text={item.productName} />
            </span>
          </Link>
          <Price item={item} />
        </div>
        <p className="text-[0.95rem] tabular-nums text-soft">
          {count(item.quantity)} × {money(item.price)}
        </p>
        <Outcome item={item} />
        {(outcome === 'partial' || outcome === 'none') && <NextStep item={item} />}
      </div>
    </li>
  )
}

/** What the line costs: of the units that are reserved, once that is known. */
function Price({ item: { payable, subtotal } }: { item: OrderItem }) {
  return (
    <p className="ml-auto py-2.5 text-right font-semibold leading-snug tabular-nums">
      {payable !== subtotal && (
        <>
          <span className="sr-only">Instead of </span>
          <s className="mr-2 font-normal text-soft">{money(subtotal)}</s>
        </>
      )}
      {money(payable)}
    </p>
  )
}

function missingOf({ quantity, allocated, shortfall }: OrderItem): number {
  return shortfall ?? quantity - (allocated ?? 0)
}

function Outcome({ item }: { item: OrderItem }) {
  switch (outcomeOf(item)) {
    case 'waiting':
      return <p className="mt-1 text-[0.95rem] text-soft">Waiting for inventory</p>
    case 'full':
      return <p className="mt-1 text-[0.95rem] font-semibold text-leaf">{whole(item.allocated ?? 0, 'reserved')}</p>
    case 'partial':
      return (
        <p className="mt-1 text-[0.95rem] font-semibold text-low">
          {count(item.allocated ?? 0)} reserved, {count(missingOf(item))} unavailable
        </p>
      )
    case 'none':
      return <p className="mt-1 text-[0.95rem] font-semibold text-out">{whole(missingOf(item), 'unavailable')}</p>
  }
}

/** What all units of a line have come to. */
function whole(units: number, what: 'reserved' | 'unavailable'): string {
  if (units === 1) return what === 'reserved' ? 'Reserved' : 'Unavailable'
  return `${units === 2 ? 'Both' : `All ${count(units)}`} ${what}`
}

/** For units that could not be reserved: those that are back by now, or something like them. */
function NextStep({ item }: { item: OrderItem }) {
  const live = useLiveProduct(item.productId)
  const { add, adding } = useAdd({ productId: item.productId, name: item.productName, price: item.price, imageUrl: item.imageUrl })
  const back = live && !live.removed ? Math.min(live.product.inventory, missingOf(item)) : 0
  if (back > 0) {
    return (
      <button type="button" className="btn-plain mt-2 px-4" onClick={() => add(back)}>
        {adding > 0 ? 'Adding…' : `${count(back)} in stock again: add to cart`}
      </button>
    )
  }
  const category = live?.product.category
  return (
    <Link href={hrefOf(category ? { category, inStock: true } : { inStock: true })} className="link inline-flex min-h-11 items-center text-[0.95rem]">
      {category ? 'Find something similar in stock' : 'See what is in stock'}
    </Link>
  )
}
