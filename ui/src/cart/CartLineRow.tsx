import { useRef } from 'react'
import { Link } from 'wouter'

import { useLiveProduct } from '../live/catalogue'
import { productHref } from '../lib/address'
import { cents, money } from '../lib/money'
import { Picture } from '../product/Picture'
import { setQuantity } from './cart'
import { Stepper } from './Stepper'
import type { CartLine } from './wishes'

/** One line. Says when the shelf no longer holds what the line asks for, or the price moved since it was quoted. */
export function CartLineRow({ line, onLeave, locked = false }: { line: CartLine; onLeave?: (() => void) | undefined; locked?: boolean }) {
  const live = useLiveProduct(line.productId)
  const left = live && !live.removed ? live.product.inventory : 0
  const row = useRef<HTMLLIElement>(null)
  const change = (quantity: number) => {
    // The button that was pressed goes away with its line: the focus stays in the cart.
    if (quantity === 0) row.current?.closest<HTMLElement>('[data-cart]')?.focus()
    setQuantity(line, quantity)
  }
  return (
    <li ref={row} className="flex gap-4 py-4" data-line={line.productId}>
      <Picture productId={line.productId} url={line.imageUrl} alt="" className="size-20 shrink-0 rounded-lg object-cover" />
      <div className="min-w-0 grow">
        <div className="flex items-start justify-between gap-3">
          <Link href={productHref(line.productId)} onClick={onLeave} className="link py-1 font-semibold leading-snug">
            {line.productName}
          </Link>
          <p className={`py-1 font-semibold tabular-nums ${line.waiting ? 'text-soft' : ''}`}>{line.waiting ? '…' : money(line.subtotal)}</p>
        </div>
        <div className="mt-1 flex flex-wrap items-center justify-between gap-x-3 gap-y-1">
          <p className="text-[0.95rem] tabular-nums text-soft">
            {money(line.price)} each
            {live && cents(live.product.price) !== cents(line.price) && <span className="font-semibold text-low"> (now {money(live.product.price)})</span>}
          </p>
          <Stepper label={line.productName} quantity={line.quantity} least={0} onChange={change} disabled={locked} />
        </div>
        {live && left < line.quantity && (
          <p className="mt-1 text-[0.95rem] font-semibold text-low">
            {live.removed ? 'No longer sold' : left === 0 ? 'Sold out: none of it would be delivered' : `Only ${left} on the shelf: the rest would be missing`}
          </p>
        )}
      </div>
    </li>
  )
}
