import { useRef } from 'react'
import { useLocation } from 'wouter'

import { announce } from '../lib/announcer'
import { count } from '../lib/locale'
import { Block } from './Block'
import { hrefOf, MOST_SHOWN, STEP, type Filters } from './filters'
import { Pages } from './Pages'

/** Pages that stay in the document however far they are scrolled away: enough for finding in the page, few enough to be quick. */
const STAYING = 10

/** What a list holds. `total` is null where the shop has not said, and `more`: whether there is anything after what is shown. */
export type Extent = { shown: number; total: number | null; more: boolean }

/** The products from the page in the address on, as many as were asked for, and the ways to the others. */
export function ProductList({ filters, extent, eager }: { filters: Filters; extent: Extent; eager: boolean }) {
  const { shown, total, more } = extent
  const blocks = Math.max(1, Math.ceil(shown / STEP))
  return (
    <>
      {Array.from({ length: blocks }, (_, index) => (
        <Block key={index} filters={filters} eager={eager} page={filters.page + index} products={index === blocks - 1 ? shown - index * STEP : STEP} stays={index < STAYING && blocks <= 2 * STAYING} />
      ))}
      <More filters={filters} extent={extent} />
      {total !== null && (filters.page > 1 || total > STAYING * STEP) && <Pages filters={filters} last={Math.ceil(total / STEP)} next={more ? filters.page + blocks : null} />}
    </>
  )
}

/** "Show more" keeps the focus that pressed it, and hands it to what follows when all is shown. */
function More({ filters, extent: { shown, total, more } }: { filters: Filters; extent: Extent }) {
  const [, navigate] = useLocation()
  const end = useRef<HTMLParagraphElement>(null)
  const first = (filters.page - 1) * STEP
  const showMore = () => {
    const wanted = filters.shown + STEP
    navigate(hrefOf({ ...filters, shown: wanted }), { replace: true })
    const upTo = total === null ? first + wanted : Math.min(first + wanted, total)
    announce(`Products up to ${count(upTo)}${total === null ? '' : ` of ${count(total)}`} are shown`)
    if (total !== null && upTo >= total) end.current?.focus({ preventScroll: true })
  }
  return (
    <div className="flex flex-col items-center gap-3">
      <p ref={end} tabIndex={-1} className="text-soft outline-none">
        {total === null ? `${count(first + shown)} products` : more ? `${count(first + 1)}\u2013${count(first + shown)} of ${count(total)}` : total > STEP && `That is all: ${count(total)} products`}
      </p>
      {more && filters.shown < MOST_SHOWN && (
        <button type="button" className="btn-plain min-w-48" onClick={showMore}>
          Show more
        </button>
      )}
    </div>
  )
}
