import { useEffect } from 'react'
import { Link, useLocation } from 'wouter'

import { useCart } from '../cart/cart'
import { CartLineRow } from '../cart/CartLineRow'
import { Totals } from '../cart/Totals'
import { orderHref } from '../lib/address'
import { money } from '../lib/money'
import { Trouble } from '../shell/Trouble'
import { useTitle } from '../shell/useTitle'
import { track } from '../track/track'
import { CHECKOUT_FORM, CheckoutForm } from './CheckoutForm'
import { Unfinished } from './Unfinished'
import { useCheckout } from './useCheckout'

export function CheckoutPage() {
  const { attempt, finish } = useCheckout()
  const { cart, lines, waiting, error } = useCart()
  const [, navigate] = useLocation()
  useTitle('Checkout')
  useEffect(() => track('CHECKOUT_START'), [])
  useEffect(() => {
    if (attempt.step !== 'placed') return
    navigate(orderHref(attempt.order.orderId), { replace: true })
    finish()
  }, [attempt, navigate, finish])

  const locked = attempt.step === 'asking' || attempt.step === 'unanswered'
  const unfinished = attempt.step === 'unanswered' || (attempt.step === 'asking' && attempt.again)
  return (
    <div data-cart tabIndex={-1} className="mx-auto max-w-5xl pt-8 outline-none">
      <h1 className="text-3xl font-bold sm:text-[2.6rem]">Checkout</h1>
      {unfinished && <Unfinished attempt={attempt} />}
      {error && <Trouble error={error} what="Your cart could not be read" />}
      {cart && lines.length === 0 && !locked && attempt.step !== 'placed' && (
        <div className="mt-6">
          <p className="text-soft">There is nothing in your cart.</p>
          <Link href="/" className="btn-plain mt-4">
            Look at the shelves
          </Link>
        </div>
      )}
      {cart && lines.length > 0 && (
        <div className="mt-6 grid items-start gap-x-14 gap-y-10 md:grid-cols-[1fr_22rem]">
          <CheckoutForm total={cart.quote.totalAmount} locked={locked} />
          <section aria-label="Your order" className="md:sticky md:top-6">
            <ul className="divide-y divide-line border-y border-line">
              {lines.map((line) => (
                <CartLineRow key={line.productId} line={line} locked={locked} />
              ))}
            </ul>
            <div className="mt-4">
              <Totals totals={cart.quote} waiting={waiting} />
            </div>
            <button type="submit" form={CHECKOUT_FORM} className="btn-main mt-6 min-h-13 w-full text-lg" disabled={waiting || locked}>
              {attempt.step === 'unanswered' ? 'No answer yet' : locked ? 'Placing your order…' : waiting ? 'Updating your cart…' : `Place order for ${money(cart.quote.totalAmount)}`}
            </button>
          </section>
        </div>
      )}
    </div>
  )
}
