import { useQuery } from '@tanstack/react-query'
import { Link } from 'wouter'

import { listingQuery, relatedQuery } from '../api/queries'
import { productHref } from '../lib/address'
import { Name } from '../lib/Name'
import { money } from '../lib/money'
import { useLiveProduct } from '../live/catalogue'
import type { Product } from '../wire'
import { Picture } from './Picture'
import { StockBadge } from './StockBadge'

const SHOWN = 4

/** Products that go with this one, or where nothing is known to, the best liked of its category. */
export function Related({ product }: { product: Product }) {
  const related = useQuery(relatedQuery(product.productId))
  const none = related.isError || related.data?.length === 0
  const alike = useQuery({ ...listingQuery(new URLSearchParams({ sort: 'popular', inStock: 'true', limit: String(SHOWN + 1), category: product.category }).toString()), enabled: none && product.category !== '' })
  const ids = (none ? alike.data?.ids : related.data)?.filter((productId) => productId !== product.productId).slice(0, SHOWN)
  if (ids?.length === 0 || (none && (alike.isError || product.category === ''))) return null
  return (
    <section className="mt-8" aria-labelledby="related">
      <h2 id="related" className="text-xl font-bold">
        Goes well with it
      </h2>
      <ul className="mt-2 grid min-h-44 gap-x-6 sm:grid-cols-2" data-testid="related">
        {ids?.map((productId) => (
          <Item key={productId} productId={productId} />
        ))}
      </ul>
    </section>
  )
}

function Item({ productId }: { productId: string }) {
  const live = useLiveProduct(productId)
  if (!live) return null
  return (
    <li className="relative flex min-w-0 items-center gap-3 border-t border-line py-2.5">
      <Picture productId={productId} url={live.product.imageUrl} alt="" className="size-16 shrink-0 rounded-lg object-cover" />
      <div className="min-w-0 leading-snug">
        <Link href={productHref(productId)} className="line-clamp-2 font-semibold after:absolute after:inset-0 hover:underline hover:underline-offset-4">
          <Name text={live.product.name} />
        </Link>
        <p className="tabular-nums">{money(live.product.price)}</p>
        <div className="text-[0.95rem]">
          <StockBadge live={live} />
        </div>
      </div>
    </li>
  )
}
