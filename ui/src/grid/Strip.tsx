import { useEffect, type CSSProperties } from 'react'
import { Link } from 'wouter'

import { productQuery, queryClient } from '../api/queries'
import { productHref } from '../lib/address'
import { Name } from '../lib/Name'
import { money } from '../lib/money'
import { useLiveProduct } from '../live/catalogue'
import { Picture } from '../product/Picture'
import { sizeFor } from '../product/PriceLabel'
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

// As high as two lines of name, of price and of stock need: what changes in it moves nothing below.
const ITEM = 'relative flex w-36 shrink-0 snap-start flex-col gap-2 max-lg:min-h-[18rem] lg:h-24 lg:w-auto lg:flex-row lg:items-center lg:gap-4 lg:border-b lg:border-line'
const PICTURE = 'aspect-square w-full rounded-lg object-cover lg:size-[4.75rem]'
/** Of a price, in rem. */
const LARGEST = 1.0625

function Item({ productId }: { productId: string }) {
  const live = useLiveProduct(productId)
  // A best seller may be a product that neither an answer nor a sync brought here.
  const missing = live === undefined
  useEffect(() => {
    if (missing) void queryClient.prefetchQuery(productQuery(productId))
  }, [missing, productId])
  if (!live) return null
  const { product } = live
  return (
    <li className={ITEM} data-tile={productId}>
      <Picture productId={productId} url={product.imageUrl} alt="" className={`${PICTURE} shrink-0`} />
      <div className="@container min-w-0 leading-snug lg:grow">
        <Link href={productHref(productId)} className="line-clamp-2 font-semibold after:absolute after:inset-0 hover:underline hover:decoration-2 hover:underline-offset-4 lg:line-clamp-1">
          <Name text={product.name} />
        </Link>
        <Price now={money(product.price)} before={product.wasPrice === undefined ? null : money(product.wasPrice)} />
        <div className="text-[0.95rem]">
          <StockBadge live={live} />
        </div>
      </div>
    </li>
  )
}

/** Always one line, or two where the strip is a row of cards: a longer price has smaller letters. */
function Price({ now, before }: { now: string; before: string | null }) {
  const longer = Math.max(now.length, before?.length ?? 0)
  const both = now.length + (before === null ? 0 : before.length + 2)
  const sizes = { '--narrow': sizeFor(longer, LARGEST), '--wide': sizeFor(both, LARGEST) } as CSSProperties
  const size = '[font-size:var(--narrow)] lg:[font-size:var(--wide)]'
  return (
    <p className="flex h-[1lh] flex-wrap content-start items-baseline gap-x-2 whitespace-nowrap tabular-nums max-lg:h-[2lh]" style={sizes} data-testid="price">
      <span className={`font-bold ${size} ${before === null ? '' : 'bg-label px-1 text-on-label'}`}>{now}</span>
      {before !== null && (
        <>
          <span className="sr-only">, was</span>
          <s className={`text-soft ${size}`}>{before}</s>
        </>
      )}
    </p>
  )
}
