import { Link } from 'wouter'

import { productHref } from '../lib/address'
import { Name } from '../lib/Name'
import { money } from '../lib/money'
import { useLiveProduct } from '../live/catalogue'
import { Picture } from '../product/Picture'
import { StockBadge } from '../product/StockBadge'
import { SHOWN } from './apart'

/** A few products under a heading: a column of rows, or on small screens a row of cards that scrolls. */
export function Strip({ title, ids }: { title: string; ids: readonly string[] }) {
  return (
    <section aria-label={title} className="min-w-0">
      <h2 className="border-b-4 border-edge pb-1.5 text-xl font-bold">{title}</h2>
      <ul className="relative -mx-4 flex snap-x scroll-px-4 gap-3 overflow-x-auto px-4 py-3 [scrollbar-width:none] sm:-mx-6 sm:scroll-px-6 sm:px-6 lg:mx-0 lg:flex-col lg:gap-0 lg:overflow-visible lg:px-0 lg:py-0">
        {ids.slice(0, SHOWN).map((productId) => (
          <Item key={productId} productId={productId} />
        ))}
      </ul>
    </section>
  )
}

const ITEM = 'relative flex w-36 shrink-0 snap-start flex-col gap-2 lg:h-24 lg:w-auto lg:flex-row lg:items-center lg:gap-4 lg:border-b lg:border-line'
const PICTURE = 'aspect-square w-full rounded-lg object-cover lg:size-[4.75rem]'

function Item({ productId }: { productId: string }) {
  const live = useLiveProduct(productId)
  if (!live) return null
  const { product } = live
  const { price, wasPrice } = product
  return (
    <li className={ITEM} data-tile={productId}>
      <Picture productId={productId} url={product.imageUrl} alt="" className={`${PICTURE} shrink-0`} />
      <div className="min-w-0 leading-snug">
        <Link href={productHref(productId)} className="line-clamp-2 font-semibold after:absolute after:inset-0 hover:underline hover:decoration-2 hover:underline-offset-4 lg:line-clamp-1">
          <Name text={product.name} />
        </Link>
        <p className="flex flex-wrap items-baseline gap-x-2 tabular-nums">
          <span className={`font-bold ${wasPrice === undefined ? '' : 'bg-label px-1 text-on-label'}`}>{money(price)}</span>
          {wasPrice !== undefined && (
            <>
              <span className="sr-only">, was</span>
              <s className="text-[0.95rem] text-soft">{money(wasPrice)}</s>
            </>
          )}
        </p>
        <div className="text-[0.95rem]">
          <StockBadge live={live} />
        </div>
      </div>
    </li>
  )
}
