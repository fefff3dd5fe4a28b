import { Minus, Plus, Trash2 } from 'lucide-react'

/** The API's largest quantity of one call. */
const MOST = 1000

type Props = { label: string; quantity: number; least: 0 | 1; onChange: (quantity: number) => void; disabled?: boolean }

/** Less and more. With `least` 0 the last step removes. A button at its limit does nothing but keeps the keyboard's focus. */
export function Stepper({ label, quantity, least, onChange, disabled = false }: Props) {
  const removes = least === 0 && quantity === 1
  const button = 'grid size-11 place-items-center rounded-lg hover:bg-well disabled:text-soft disabled:opacity-60 aria-disabled:cursor-not-allowed aria-disabled:text-soft aria-disabled:opacity-60'
  const step = (to: number) => to >= least && to <= MOST && onChange(to)
  return (
    <div role="group" aria-label={`Quantity of ${label}`} className="inline-flex items-center rounded-lg border border-line bg-tile">
      <button type="button" className={button} disabled={disabled} aria-disabled={quantity <= least} onClick={() => step(quantity - 1)}>
        {removes ? <Trash2 size={18} aria-hidden /> : <Minus size={18} aria-hidden />}
        <span className="sr-only">{removes ? `Remove ${label}` : 'One less'}</span>
      </button>
      <span className="min-w-8 text-center font-semibold tabular-nums" data-testid="quantity">
        {quantity}
      </span>
      <button type="button" className={button} disabled={disabled} aria-disabled={quantity >= MOST} onClick={() => step(quantity + 1)}>
        <Plus size={18} aria-hidden />
        <span className="sr-only">One more</span>
      </button>
    </div>
  )
}
