import { Link } from 'wouter'

import { productHref } from '../lib/address'
import { money } from '../lib/money'
import { Picture } from '../product/Picture'
import type { OrderItem } from '../wire'
import { outcomeOf } from './order'

/** One item: asked for, set aside, missing. */
export function OrderLine({ item }: { item: OrderItem }) {
  return (
    <li className="flex gap-4 py-4" data-item={item.productId} data-outcome={outcomeOf(item)}>
      <Picture productId={item.productId} url={item.imageUrl} alt="" className="size-20 shrink-0 rounded-lg object-cover" />
      <div className="min-w-0 grow">
        <div className="flex items-start justify-between gap-3">
          <Link href={productHref(item.productId)} className="link py-1 font-semibold leading-snug">
            {item.productName}
          </Link>
          <p className="py-1 font-semibold tabular-nums">{money(item.subtotal)}</p>
        </div>
        <p className="text-[0.95rem] tabular-nums text-soft">
          {item.quantity} × {money(item.price)}
        </p>
        <Outcome item={item} />
      </div>
    </li>
  )
}

function Outcome({ item }: { item: OrderItem }) {
  const allocated = item.allocated ?? 0
  const shortfall = item.shortfall ?? item.quantity - allocated
  switch (outcomeOf(item)) {
    case 'waiting':
      return <p className="mt-1 text-[0.95rem] text-soft">Waiting for the inventory</p>
    case 'full':
      return <p className="mt-1 text-[0.95rem] font-semibold text-leaf">{whole(allocated, 'set aside')}</p>
    case 'partial':
      return (
        <p className="mt-1 text-[0.95rem] font-semibold text-low">
          {allocated} set aside, {shortfall} missing
        </p>
      )
    case 'none':
      return <p className="mt-1 text-[0.95rem] font-semibold text-out">{whole(shortfall, 'missing')}</p>
  }
}

/** What all units of a line have come to. */
function whole(units: number, what: 'set aside' | 'missing'): string {
  if (units === 1) return what === 'missing' ? 'Missing' : 'Set aside'
  return `${units === 2 ? 'Both' : `All ${units}`} ${what}`
}
