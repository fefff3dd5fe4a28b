import { Plus } from 'lucide-react'
import { memo, useRef } from 'react'
import { Link } from 'wouter'

import { productHref } from '../lib/address'
import { Name, Words } from '../lib/Name'
import { inText } from '../lib/text'
import { useLiveProductInSight } from '../live/catalogue'
import { Picture } from './Picture'
import { PriceLabel } from './PriceLabel'
import { Rating } from './Rating'
import { StockBadge } from './StockBadge'
import { stockOf } from './stock'
import { useAdd } from './useAdd'

/** One product on the shelf. Subscribes to its own product only, and closely only while it is in sight: a change elsewhere renders nothing here. */
export const ProductCard = memo(function ProductCard({ productId, eager }: { productId: string; eager: boolean }) {
  const card = useRef<HTMLLIElement>(null)
  const live = useLiveProductInSight(productId, card)
  const { add, adding } = useAdd(live?.product ?? { productId, name: '', price: 0, imageUrl: '' })
  if (!live) return null
  const { product } = live
  const stock = stockOf(live, false)
  const buyable = stock === 'in' || stock === 'low'
  return (
    <li ref={card} data-product={productId} className="group relative flex flex-col pb-8 [contain-intrinsic-size:auto_460px] [content-visibility:auto]">
      <div className="relative px-2 sm:px-3">
        <Picture productId={productId} url={product.imageUrl} alt="" eager={eager} className={`aspect-square h-auto w-full rounded-t-xl object-cover transition-opacity ${buyable ? '' : 'opacity-45 grayscale'}`} />
        <button type="button" disabled={!buyable} onClick={() => add(1)} className="absolute bottom-2.5 right-4 z-10 grid size-11 place-items-center rounded-lg bg-leaf text-on-leaf transition-colors hover:bg-ink hover:text-paper disabled:bg-well disabled:text-soft sm:right-5">
          {adding > 0 ? <span aria-hidden className="font-bold tabular-nums">+{adding}</span> : <Plus size={22} aria-hidden />}
          <span className="sr-only">Add {inText(product.name)} to cart</span>
        </button>
      </div>
      {/* The shelf's edge runs through the whole row; labels hang from it. */}
      <div className="border-t-4 border-edge px-2 sm:px-3">
        <PriceLabel live={live} />
        <h3 className="mt-1.5 text-lg font-semibold leading-snug">
          <Link href={productHref(productId)} className="after:absolute after:inset-0 group-hover:underline group-hover:decoration-2 group-hover:underline-offset-4">
            <span className="line-clamp-3">
              <Name text={product.name} />
            </span>
          </Link>
        </h3>
        <div className="mt-0.5 sm:flex sm:flex-wrap sm:items-center sm:justify-between sm:gap-x-3">
          <p className="line-clamp-2 text-[0.95rem] text-soft">
            <Words text={product.brand} />
          </p>
          <Rating rating={product.rating} reviewCount={product.reviewCount} />
        </div>
        <div className="mt-1 text-[0.95rem]">
          <StockBadge live={live} />
        </div>
      </div>
    </li>
  )
})
