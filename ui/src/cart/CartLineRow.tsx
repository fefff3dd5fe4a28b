import { useRef } from 'react'
import { Link } from 'wouter'

import { useCatalogueIsWhole, useLiveProduct } from '../live/catalogue'
import { productHref } from '../lib/address'
import { count } from '../lib/locale'
import { cents, money } from '../lib/money'
import { Name } from '../lib/Name'
import { inText } from '../lib/text'
import { Picture } from '../product/Picture'
import { setQuantity } from './cart'
import { standOf, type Stand } from './stand'
import { Stepper } from './Stepper'
import type { CartLine } from './wishes'

/** One line. Says when the shelf no longer holds what the line asks for, or the price moved since it was quoted, and offers what mends it. */
export function CartLineRow({ line, onLeave, locked = false }: { line: CartLine; onLeave?: (() => void) | undefined; locked?: boolean }) {
  const live = useLiveProduct(line.productId)
  const stand = standOf(line, live, useCatalogueIsWhole())
  const gone = stand.is === 'gone'
  const row = useRef<HTMLLIElement>(null)
  const change = (quantity: number) => {
    // The button that was pressed goes away with its line: the focus stays in the cart.
    if (quantity === 0) row.current?.closest<HTMLElement>('[data-cart]')?.focus()
    setQuantity(line, quantity)
  }
  return (
    <li ref={row} className="flex gap-3 py-4 sm:gap-4" data-line={line.productId} data-stand={stand.is}>
      <Picture productId={line.productId} url={line.imageUrl} alt="" className={`size-16 shrink-0 rounded-lg object-cover sm:size-20 ${gone ? 'opacity-50 grayscale' : ''}`} />
      <div className="min-w-0 grow">
        <div className="flex flex-wrap items-start justify-between gap-x-3">
          {gone ? (
            <p className="line-clamp-3 min-w-0 grow basis-24 py-2 font-semibold leading-snug text-soft">
              <s>
                <Name text={line.productName} />
              </s>
            </p>
          ) : (
            <Link href={productHref(line.productId)} onClick={onLeave} className="link min-h-11 min-w-0 grow basis-24 py-2.5 font-semibold leading-snug">
              <span className="line-clamp-3">
                <Name text={line.productName} />
              </span>
            </Link>
          )}
          {!gone && <p className={`ml-auto py-2 font-semibold tabular-nums ${line.waiting ? 'text-soft' : ''}`}>{line.waiting ? '…' : money(line.subtotal)}</p>}
        </div>
        {!gone && (
          <div className="flex flex-wrap items-center justify-between gap-x-3 gap-y-1">
            <p className="text-[0.95rem] tabular-nums text-soft">
              {money(line.price)} each
              {live && cents(live.product.price) !== cents(line.price) && <span className="font-semibold text-low"> (now {money(live.product.price)})</span>}
            </p>
            <Stepper label={line.productName} quantity={line.quantity} least={0} onChange={change} disabled={locked} />
          </div>
        )}
        <Remedy line={line} stand={stand} locked={locked} onChange={change} />
      </div>
    </li>
  )
}

/** What is wrong with a line, and the button that puts it right. */
function Remedy({ line, stand, locked, onChange }: { line: CartLine; stand: Stand; locked: boolean; onChange: (quantity: number) => void }) {
  if (stand.is === 'fine') return null
  const [text, label, quantity] = remedyOf(stand, line)
  return (
    <div className="mt-1 flex flex-wrap items-center justify-between gap-x-3 gap-y-1">
      <p className="text-[0.95rem] font-semibold text-low">{text}</p>
      <button type="button" className="btn-plain px-4" disabled={locked} onClick={() => onChange(quantity)}>
        {label}
        {quantity === 0 && <span className="sr-only"> {inText(line.productName)}</span>}
      </button>
    </div>
  )
}

function remedyOf(stand: Exclude<Stand, { is: 'fine' }>, { quantity }: CartLine): [text: string, label: string, quantity: number] {
  switch (stand.is) {
    case 'gone':
      return ['No longer sold', 'Remove', 0]
    case 'out':
      return ['Sold out: none of it would be reserved', 'Remove', 0]
    case 'short':
      return [`Only ${count(stand.left)} in stock: ${count(quantity - stand.left)} of ${count(quantity)} would be unavailable`, `Lower to ${count(stand.left)}`, stand.left]
  }
}
