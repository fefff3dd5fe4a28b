import { useEffect, useRef } from 'react'
import { useLocation } from 'wouter'

import { useCart } from '../cart/cart'
import { CartLineRow } from '../cart/CartLineRow'
import { useGone } from '../cart/stand'
import { Totals } from '../cart/Totals'
import { orderHref } from '../lib/address'
import { money } from '../lib/money'
import { Nothing } from '../product/Nothing'
import { Trouble } from '../shell/Trouble'
import { useTitle } from '../shell/useTitle'
import { track } from '../track/track'
import { CHECKOUT_FORM, CheckoutForm } from './CheckoutForm'
import { NewTotal } from './NewTotal'
import { Unfinished } from './Unfinished'
import { useAgreement } from './useAgreement'
import { useCheckout } from './useCheckout'

export function CheckoutPage() {
  const { attempt, finish } = useCheckout()
  const { cart, lines, error } = useCart()
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
      {cart && lines.length === 0 && !locked && attempt.step !== 'placed' && <div className="mt-6"><Nothing text="There is nothing in your cart." /></div>}
      {cart && lines.length > 0 && <Body locked={locked} />}
    </div>
  )
}

/** Form, items and total. What is ordered is the total that was shown, never one that came later. */
function Body({ locked }: { locked: boolean }) {
  const { attempt, dismiss } = useCheckout()
  const { cart, lines, waiting } = useCart()
  const gone = useGone(lines)
  const { agreement, comparison, accept } = useAgreement(cart, waiting, locked)
  const place = useRef<HTMLButtonElement>(null)
  const total = agreement?.total ?? 0
  const held = gone.length > 0 ? 'gone' : comparison.is === 'changed' ? 'changed' : null
  if (!cart) return null
  return (
    <div className="mt-6 grid items-start gap-x-14 gap-y-10 md:grid-cols-[minmax(0,1fr)_22rem]">
      <CheckoutForm total={total} gone={gone} held={held !== null} locked={locked} />
      <section aria-label="Your order" className="min-w-0 md:sticky md:top-20">
        <ul className="divide-y divide-line border-y border-line">
          {lines.map((line) => (
            <CartLineRow key={line.productId} line={line} locked={locked} />
          ))}
        </ul>
        <div className="mt-4">
          <Totals totals={cart.quote} waiting={waiting} />
        </div>
        {comparison.is === 'changed' && gone.length === 0 && (
          <NewTotal
            change={comparison}
            onAccept={() => {
              accept()
              dismiss()
              // The button that was pressed goes away; a second press must not order.
              setTimeout(() => place.current?.focus())
            }}
          />
        )}
        {held === 'gone' && <p className="mt-4 font-semibold text-low">Remove what is no longer sold, then place the order.</p>}
        <button ref={place} type="submit" form={CHECKOUT_FORM} className="btn-main mt-5 min-h-13 w-full text-lg" disabled={waiting || locked || held !== null}>
          {labelOf(attempt.step, locked, waiting, held, total)}
        </button>
      </section>
    </div>
  )
}

function labelOf(step: string, locked: boolean, waiting: boolean, held: 'gone' | 'changed' | null, total: number): string {
  if (step === 'unanswered') return 'No answer yet'
  if (locked) return 'Placing your order…'
  if (waiting) return 'Updating your cart…'
  if (held === 'gone') return 'Not all of it is sold any more'
  if (held === 'changed') return 'The total has changed'
  return `Place order for ${money(total)}`
}
