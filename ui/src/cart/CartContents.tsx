import { Link } from 'wouter'

import { Trouble } from '../shell/Trouble'
import { useCart } from './cart'
import { CartLineRow } from './CartLineRow'
import { Totals } from './Totals'

/** Lines, the server's totals and the way to checkout. */
export function CartContents({ onLeave }: { onLeave?: () => void }) {
  const { cart, lines, waiting, error } = useCart()
  if (error) return <Trouble error={error} what="Your cart could not be read" />
  if (!cart) return <p className="mt-6 text-soft">Reading your cart…</p>
  if (lines.length === 0) {
    return (
      <div className="mt-6">
        <p className="text-soft">There is nothing in it yet.</p>
        <Link href="/" onClick={onLeave} className="btn-plain mt-4">
          Look at the shelves
        </Link>
      </div>
    )
  }
  return (
    <>
      <ul className="mt-4 grow divide-y divide-line" aria-label="Items">
        {lines.map((line) => (
          <CartLineRow key={line.productId} line={line} onLeave={onLeave} />
        ))}
      </ul>
      <div className="mt-4 border-t-4 border-edge pt-4">
        <Totals totals={cart.quote} waiting={waiting} />
        <Link href="/checkout" onClick={onLeave} className="btn-main mt-5 w-full">
          Check out
        </Link>
      </div>
    </>
  )
}
