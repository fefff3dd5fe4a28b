import { Link } from 'wouter'

import { money } from '../lib/money'
import { sentence } from '../lib/text'
import type { Attempt } from './attempt'
import { useCheckout } from './useCheckout'
import { useFocusOnce } from './useFocusOnce'

/** The order may or may not exist. A retry with the same key shows which, and can't order twice. */
export function Unfinished({ attempt }: { attempt: Attempt }) {
  const { askAgain } = useCheckout()
  const element = useFocusOnce<HTMLDivElement>()
  if (attempt.step !== 'unanswered' && attempt.step !== 'asking') return null
  const waiting = attempt.step === 'asking'
  return (
    <div ref={element} tabIndex={-1} role="group" aria-label="Unfinished order" className="mt-6 border-l-4 border-low bg-tile py-3 pl-4 pr-3" data-testid="unanswered">
      <h2 className="text-xl font-bold">{waiting ? 'No answer yet, checking again…' : 'We don’t know whether your order was placed'}</h2>
      <p className="mt-1 max-w-prose">
        {waiting ? '' : `${sentence(attempt.reason)} `}The order is for {money(attempt.ask.body.expectedTotal)}. Checking is safe: it places the order if it was not placed, and never a second one.
      </p>
      {!waiting && (
        <div className="mt-4 flex flex-wrap gap-3">
          <button type="button" className="btn-main" onClick={askAgain}>
            Check order status
          </button>
          <Link href="/orders" className="btn-plain">
            See your orders
          </Link>
        </div>
      )}
    </div>
  )
}
