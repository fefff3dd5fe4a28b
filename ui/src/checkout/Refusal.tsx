import { money } from '../lib/money'
import { sentence } from '../lib/text'
import type { Problem } from '../wire'
import { useFocusOnce } from './useFocusOnce'

/** The server said no: why, and what to do. The cart is as it was. */
export function Refusal({ problem, total }: { problem: Problem; total: number }) {
  const element = useFocusOnce<HTMLDivElement>()
  const [title, text] = textOf(problem, total)
  return (
    <div ref={element} tabIndex={-1} role="group" aria-label={title} className="mb-8 border-l-4 border-out bg-tile py-3 pl-4 pr-3" data-code={problem.code}>
      <h2 className="text-xl font-bold">{title}</h2>
      <p className="mt-1">{text}</p>
      {problem.traceId && <p className="mt-1 break-all text-[0.95rem] text-soft">Trace {problem.traceId}</p>}
    </div>
  )
}

function textOf({ code, detail, title }: Problem, total: number): [string, string] {
  const reason = sentence(detail ?? title)
  switch (code) {
    case 'total_changed':
      return ['The total has changed', `It is ${money(total)} now. Nothing was ordered; look at your cart and place the order again if you agree.`]
    case 'product_gone':
      return ['Something in your cart is no longer sold', `${reason} Nothing was ordered; remove it and place the order again.`]
    default:
      return ['Your order was not placed', `${reason} Your cart is kept.`]
  }
}
