import { count } from '../lib/locale'
import { money } from '../lib/money'
import { Name } from '../lib/Name'
import type { Comparison, LineChange } from './agreement'

/** The cart no longer costs what was shown: from what to what, by which lines, and the button that accepts it. */
export function NewTotal({ change, onAccept }: { change: Extract<Comparison, { is: 'changed' }>; onAccept: () => void }) {
  return (
    <div role="group" aria-label="The total has changed" className="mt-4 border-l-4 border-low bg-tile py-3 pl-4 pr-3" data-testid="new-total">
      <h2 className="text-lg font-bold">The total has changed</h2>
      <p className="mt-1 text-lg tabular-nums">
        <span className="sr-only">From </span>
        <s className="text-soft">{money(change.from)}</s>
        <span aria-hidden> → </span>
        <span className="sr-only"> to </span>
        <strong>{money(change.to)}</strong>
      </p>
      {change.lines.length > 0 && (
        <ul className="mt-2 grid gap-1 text-[0.95rem] text-soft">
          {change.lines.map((line) => (
            <li key={line.productId} className="tabular-nums">
              <span className="line-clamp-2">
                <Name text={(line.now ?? line.before)?.name ?? ''} />
              </span>
              {textOf(line)}
            </li>
          ))}
        </ul>
      )}
      <button type="button" className="btn-main mt-3 w-full" onClick={onAccept}>
        Accept {money(change.to)}
      </button>
    </div>
  )
}

function textOf({ before, now }: LineChange): string {
  if (!now) return 'no longer in your cart'
  if (!before) return `added, ${count(now.quantity)} × ${money(now.price)}`
  if (before.quantity !== now.quantity) return `${count(before.quantity)} → ${count(now.quantity)} units`
  return `${money(before.price)} → ${money(now.price)} each`
}
