import { useState } from 'react'

import type { LiveProduct } from '../live/catalogue'
import { count } from '../lib/locale'
import { useUntil } from '../lib/now'
import { useObservable } from '../lib/observable'
import { lowStock, NEWS_MS, stockOf, stockText, type Stock } from './stock'

const COLOURS: Record<Stock, string> = { in: 'text-leaf', low: 'text-low', out: 'text-out', back: 'text-back', gone: 'text-soft' }

/** Stock in words with a shape and colour of its own, and for a moment by how much it just moved. */
export function StockBadge({ live }: { live: LiveProduct }) {
  useObservable(lowStock)
  const stock = stockOf(live, useUntil(live.backAt === 0 ? 0 : live.backAt + NEWS_MS))
  // What moved before this was drawn is no news here. The animation ends in nothing by itself: no timer, no second rendering.
  const [drawnAfter] = useState(live.movedAt)
  return (
    <p className={`flex items-center gap-1.5 font-semibold tabular-nums ${COLOURS[stock]}`} data-testid="stock" data-stock={stock}>
      <Shape stock={stock} />
      {stockText(stock, live.product.inventory)}
      {live.movedAt !== drawnAfter && (
        <span key={live.movedAt} aria-hidden className="animate-moved font-bold">
          {live.movedBy > 0 ? '+' : '−'}
          {count(Math.abs(live.movedBy))}
        </span>
      )}
    </p>
  )
}

function Shape({ stock }: { stock: Stock }) {
  return (
    <svg viewBox="0 0 12 12" className="size-3 shrink-0" aria-hidden fill="currentColor">
      {stock === 'in' && <circle cx="6" cy="6" r="5" />}
      {stock === 'low' && <path d="M6 .8 11.6 11H.4z" />}
      {stock === 'back' && <path d="M6 .5 11.5 6H8v5.5H4V6H.5z" />}
      {(stock === 'out' || stock === 'gone') && <path d="m2 .6 4 4 4-4L11.4 2l-4 4 4 4-1.4 1.4-4-4-4 4L.6 10l4-4-4-4z" />}
    </svg>
  )
}
