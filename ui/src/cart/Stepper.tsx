import { Minus, Plus, Trash2 } from 'lucide-react'
import { useState } from 'react'

import { inText } from '../lib/text'
import { MOST } from './cart'
import { readQuantity } from './quantity'

type Props = { label: string; quantity: number; least: 0 | 1; onChange: (quantity: number) => void; disabled?: boolean }

/** Less, more, or a number that is typed. With `least` 0 the last step removes. A button at its limit does nothing but keeps the keyboard's focus. */
export function Stepper({ label, quantity, least, onChange, disabled = false }: Props) {
  const removes = least === 0 && quantity === 1
  const button = 'grid size-11 shrink-0 place-items-center rounded-lg hover:bg-well disabled:text-soft disabled:opacity-60 aria-disabled:cursor-not-allowed aria-disabled:text-soft aria-disabled:opacity-60'
  const step = (to: number) => to >= least && to <= MOST && to !== quantity && onChange(to)
  return (
    <div role="group" aria-label={`Quantity of ${inText(label)}`} className="inline-flex items-center rounded-lg border border-rim bg-tile">
      <button type="button" className={button} disabled={disabled} aria-disabled={quantity <= least} onClick={() => step(quantity - 1)}>
        {removes ? <Trash2 size={18} aria-hidden /> : <Minus size={18} aria-hidden />}
        <span className="sr-only">{removes ? `Remove ${inText(label)}` : 'One less'}</span>
      </button>
      <Typed quantity={quantity} least={least} disabled={disabled} onEnter={step} />
      <button type="button" className={button} disabled={disabled} aria-disabled={quantity >= MOST} onClick={() => step(quantity + 1)}>
        <Plus size={18} aria-hidden />
        <span className="sr-only">One more</span>
      </button>
    </div>
  )
}

/** The number itself. What is typed counts when it is left or confirmed; what is no number counts for nothing. */
function Typed({ quantity, least, disabled, onEnter }: Pick<Props, 'quantity' | 'least'> & { disabled: boolean; onEnter: (quantity: number) => void }) {
  const [typed, setTyped] = useState<string | null>(null)
  const enter = () => {
    const wanted = typed === null ? null : readQuantity(typed, least, MOST)
    setTyped(null)
    if (wanted !== null) onEnter(wanted)
  }
  return (
    <span className="relative inline-grid min-w-9 place-items-center self-stretch px-1 font-semibold tabular-nums">
      {/* Gives the field its width. */}
      <span className="invisible" aria-hidden data-testid="quantity">
        {quantity}
      </span>
      <input
        type="text"
        inputMode="numeric"
        aria-label="Quantity"
        value={typed ?? String(quantity)}
        maxLength={5}
        disabled={disabled}
        onFocus={({ target }) => target.select()}
        onChange={({ target }) => setTyped(target.value)}
        onBlur={enter}
        onKeyDown={(event) => {
          if (event.key === 'Enter') {
            event.preventDefault()
            enter()
          }
          if (event.key === 'Escape' && typed !== null) {
            event.preventDefault()
            setTyped(null)
          }
        }}
        className="absolute inset-0 w-full rounded bg-transparent text-center disabled:text-soft"
      />
    </span>
  )
}
