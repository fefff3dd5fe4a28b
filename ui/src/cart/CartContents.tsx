import { Link } from 'wouter'

import { Nothing } from '../product/Nothing'
import { Rows } from '../shell/Rows'
import { Trouble } from '../shell/Trouble'
import { useCart } from './cart'
import { CartLineRow } from './CartLineRow'
import { useGone } from './stand'
import { Totals } from './Totals'

/** Lines, the server's totals and the way to checkout. In the drawer the lines scroll above the totals. */
export function CartContents({ onLeave }: { onLeave?: () => void }) {
  const { cart, lines, waiting, error } = useCart()
  const gone = useGone(lines)
  if (error) return <Trouble error={error} what="Your cart could not be read" />
  if (!cart && lines.length === 0) return <Reading />
  if (lines.length === 0) return <div className="mt-4"><Nothing text="There is nothing in it yet." onLeave={onLeave} /></div>
  return (
    <>
      <ul className={`mt-4 divide-y divide-line ${onLeave ? 'grow [@media(min-height:34rem)]:-mx-1 [@media(min-height:34rem)]:min-h-0 [@media(min-height:34rem)]:overflow-y-auto [@media(min-height:34rem)]:overscroll-contain [@media(min-height:34rem)]:px-1' : ''}`} aria-label="Items">
        {lines.map((line) => (
          <CartLineRow key={line.productId} line={line} onLeave={onLeave} />
        ))}
      </ul>
      <div className="shrink-0 border-t-4 border-edge pt-4">
        {cart && <Totals totals={cart.quote} waiting={waiting} />}
        {gone.length > 0 ? (
          <>
            <p className="mt-3 font-semibold text-low">Remove what is no longer sold before you check out.</p>
            <button type="button" className="btn-main mt-3 w-full" disabled>
              Check out
            </button>
          </>
        ) : (
          <Link href="/checkout" onClick={onLeave} className="btn-main mt-4 w-full">
            Check out
          </Link>
        )}
      </div>
    </>
  )
}

function Reading() {
  return (
    <>
      <p className="sr-only">Reading your cart…</p>
      <Rows count={2} className="mt-4" />
    </>
  )
}
