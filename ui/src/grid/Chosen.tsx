import { X } from 'lucide-react'

import { money } from '../lib/money'
import { plain } from '../lib/text'
import { RESULTS } from '../shell/useArrivals'
import type { Filters } from './filters'

/** What the filters hold, each with a way to take it back. */
export function Chosen({ filters, onChoose }: { filters: Filters; onChoose: (change: Partial<Filters>) => void }) {
  const { brands, minPrice, maxPrice } = filters
  const chips: { text: string; without: Partial<Filters> }[] = brands.map((brand) => ({ text: brand, without: { brands: brands.filter((other) => other !== brand) } }))
  if (minPrice !== null || maxPrice !== null) chips.push({ text: priceText(minPrice, maxPrice), without: { minPrice: null, maxPrice: null } })
  if (chips.length === 0) return null
  const take = (change: Partial<Filters>) => {
    // The button that took it back goes with it.
    document.getElementById(RESULTS)?.focus({ preventScroll: true })
    onChoose(change)
  }
  return (
    <ul aria-label="Chosen filters" className="mt-3 flex flex-wrap gap-2">
      {chips.map(({ text, without }) => (
        <li key={text} className="min-w-0">
          <button type="button" onClick={() => take(without)} className="inline-flex min-h-11 max-w-72 items-center gap-2 rounded-lg border border-rim bg-tile px-3 hover:border-edge">
            <span className="sr-only">Without </span>
            <bdi className="truncate">{plain(text)}</bdi>
            <X size={16} aria-hidden className="shrink-0" />
          </button>
        </li>
      ))}
      {chips.length > 1 && (
        <li>
          <button type="button" onClick={() => take({ brands: [], minPrice: null, maxPrice: null })} className="link inline-flex min-h-11 items-center px-2">
            Clear all
          </button>
        </li>
      )}
    </ul>
  )
}

function priceText(least: number | null, most: number | null): string {
  if (least === null) return `Up to ${money(most)}`
  return most === null ? `From ${money(least)}` : `${money(least)} to ${money(most)}`
}
