import { setQuantity } from '../cart/cart'
import type { CartLine } from '../cart/wishes'
import { Name } from '../lib/Name'
import { inText, sentence } from '../lib/text'
import type { Problem } from '../wire'
import { useFocusOnce } from './useFocusOnce'

/** The server said no: why, and what to do. The cart is as it was. `gone`: lines that are no longer sold, each with its way out. */
export function Refusal({ problem, gone }: { problem: Problem; gone: readonly CartLine[] }) {
  const element = useFocusOnce<HTMLDivElement>()
  const [title, text] = textOf(problem)
  return (
    <div ref={element} tabIndex={-1} role="group" aria-label={title} className="mb-8 border-l-4 border-out bg-tile py-3 pl-4 pr-3" data-code={problem.code}>
      <h2 className="text-xl font-bold">{title}</h2>
      <p className="mt-1">{text}</p>
      {problem.code === 'product_gone' && gone.length > 0 && (
        <ul className="mt-2 grid gap-2">
          {gone.map((line) => (
            <li key={line.productId} className="flex flex-wrap items-center justify-between gap-x-4 gap-y-1">
              <s className="min-w-0 text-soft">
                <Name text={line.productName} />
              </s>
              <button
                type="button"
                className="btn-plain px-4"
                onClick={() => {
                  element.current?.focus()
                  setQuantity(line, 0)
                }}
              >
                Remove<span className="sr-only"> {inText(line.productName)}</span>
              </button>
            </li>
          ))}
        </ul>
      )}
      {problem.traceId && <p className="mt-1 break-all text-[0.95rem] text-soft">Trace {problem.traceId}</p>}
    </div>
  )
}

function textOf({ code, detail, title }: Problem): [string, string] {
  const reason = sentence(detail ?? title)
  switch (code) {
    case 'total_changed':
      return ['The total has changed', 'It is no longer what you were shown. Nothing was ordered: look at the total and place the order again if you agree.']
    case 'product_gone':
      return ['Something in your cart is no longer sold', 'Nothing was ordered. Remove it and place the order again.']
    default:
      return ['Your order was not placed', `${reason} Your cart is kept.`]
  }
}
