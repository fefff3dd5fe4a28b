import { useEffect, useEffectEvent, useRef, useState } from 'react'

import { bounds, count } from '../lib/locale'
import { plain } from '../lib/text'
import type { FacetCount, Facets as Found } from '../wire'
import { readPrice, type Filters } from './filters'

/** Brands shown before one asks for all, and at most, as a list of thousands is of no use. */
const FIRST_BRANDS = 8
const MOST_BRANDS = 200
/** Typing an amount applies it after this pause, in milliseconds. */
const PAUSE_MS = 500

type Props = { filters: Filters; found: Found | undefined; onChoose: (change: Partial<Filters>) => void }

/** Price and brand. Each choice is an address, as all others are. */
export function Facets({ filters, found, onChoose }: Props) {
  return (
    <div className="flex flex-col gap-7">
      <PriceRange filters={filters} found={found} onChoose={onChoose} />
      <Brands filters={filters} brands={found?.brands ?? []} onChoose={onChoose} />
    </div>
  )
}

function PriceRange({ filters, found, onChoose }: Props) {
  const [least, setLeast] = useState(() => textOf(filters.minPrice))
  const [most, setMost] = useState(() => textOf(filters.maxPrice))
  const [min, max] = [readPrice(least), readPrice(most)]
  const applied = `${filters.minPrice}/${filters.maxPrice}`
  const [seen, setSeen] = useState(applied)
  // The address changed by other means (back, a filter taken back): the fields follow it.
  if (seen !== applied) {
    setSeen(applied)
    if (min !== filters.minPrice) setLeast(textOf(filters.minPrice))
    if (max !== filters.maxPrice) setMost(textOf(filters.maxPrice))
  }
  const isWrong = (min === null && least.trim() !== '') || (max === null && most.trim() !== '')
  const isCrossed = min !== null && max !== null && min > max
  const isNew = !isWrong && !isCrossed && (min !== filters.minPrice || max !== filters.maxPrice)
  const apply = useEffectEvent(() => onChoose({ minPrice: min, maxPrice: max }))
  const [floor, ceiling] = found === undefined || found.minPrice === null || found.maxPrice === null ? [null, null] : bounds(found.minPrice, found.maxPrice)
  const typed = isNew ? `${min}/${max}` : null
  useEffect(() => {
    if (typed === null) return
    const timer = setTimeout(apply, PAUSE_MS)
    return () => clearTimeout(timer)
  }, [typed])
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault()
        if (isNew) onChoose({ minPrice: min, maxPrice: max })
      }}
    >
      <fieldset>
        <legend className="font-bold">Price</legend>
        <div className="mt-2 flex items-center gap-2">
          <Amount label="Lowest price" value={least} hint={floor} wrong={isWrong || isCrossed} onType={setLeast} />
          <span aria-hidden>–</span>
          <Amount label="Highest price" value={most} hint={ceiling} wrong={isWrong || isCrossed} onType={setMost} />
        </div>
        {(isWrong || isCrossed) && (
          <p id="price-hint" className="mt-1 text-[0.95rem] text-out">
            {isWrong ? 'Amounts look like 25 or 19.99.' : 'The lowest price is above the highest.'}
          </p>
        )}
        <button type="submit" className="sr-only">
          Apply the price
        </button>
      </fieldset>
    </form>
  )
}

function textOf(amount: number | null): string {
  return amount === null ? '' : String(amount)
}

function Amount({ label, value, hint, wrong, onType }: { label: string; value: string; hint: string | null; wrong: boolean; onType: (text: string) => void }) {
  return (
    <input
      type="text"
      inputMode="decimal"
      autoComplete="off"
      aria-label={label}
      aria-invalid={wrong}
      aria-describedby={wrong ? 'price-hint' : undefined}
      placeholder={`$${hint ?? ''}`}
      maxLength={14}
      value={value}
      onChange={({ target }) => onType(target.value)}
      className="field min-w-0 px-2.5 tabular-nums"
    />
  )
}

function Brands({ filters, brands, onChoose }: { filters: Filters; brands: readonly FacetCount[]; onChoose: Props['onChoose'] }) {
  const [all, setAll] = useState(false)
  const list = useRef<HTMLUListElement>(null)
  const missing = filters.brands.filter((brand) => !brands.some(({ name }) => name === brand)).map((name) => ({ name, count: 0 }))
  const offered = [...missing, ...brands.filter(({ name }) => name !== '')]
  const shown = all ? offered.slice(0, MOST_BRANDS) : offered.filter(({ name }, index) => index < FIRST_BRANDS || filters.brands.includes(name))
  if (offered.length === 0) return null
  return (
    <fieldset className="min-w-0">
      <legend className="font-bold">Brand</legend>
      <ul ref={list} className="mt-1">
        {shown.map(({ name, count: products }) => (
          <li key={name}>
            <label className="flex min-h-11 items-center gap-2.5">
              <input
                type="checkbox"
                className="size-5 shrink-0 accent-leaf"
                checked={filters.brands.includes(name)}
                onChange={({ target }) => onChoose({ brands: target.checked ? [...filters.brands, name] : filters.brands.filter((other) => other !== name) })}
              />
              <bdi className="min-w-0 grow truncate" title={plain(name)}>
                {plain(name)}
              </bdi>
              <span className="tabular-nums text-soft">{count(products)}</span>
            </label>
          </li>
        ))}
      </ul>
      {!all && offered.length > shown.length && (
        <button
          type="button"
          className="btn-plain mt-2 w-full"
          onClick={() => {
            setAll(true)
            // The button goes: the focus goes on where the list does.
            requestAnimationFrame(() => list.current?.querySelectorAll('input')[shown.length]?.focus())
          }}
        >
          {offered.length > MOST_BRANDS ? `Show ${MOST_BRANDS} of ${count(offered.length)} brands` : `All ${offered.length} brands`}
        </button>
      )}
    </fieldset>
  )
}
