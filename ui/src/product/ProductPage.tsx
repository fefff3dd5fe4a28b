import { useQuery } from '@tanstack/react-query'
import { useEffect } from 'react'
import { Link } from 'wouter'

import { Refused } from '../api/http'
import { historyQuery, productQuery, statusQuery } from '../api/queries'
import { EmptyShop } from '../grid/EmptyShop'
import { hrefOf } from '../grid/filters'
import { useLiveProduct } from '../live/catalogue'
import { setOpenProduct } from '../live/shopfront'
import { NotFound } from '../shell/NotFound'
import { Trouble } from '../shell/Trouble'
import { useTitle } from '../shell/useTitle'
import { track } from '../track/track'
import { BuyBox } from './BuyBox'
import { priceBefore } from './history'
import { Picture } from './Picture'
import { PriceLabel } from './PriceLabel'
import { Rating } from './Rating'
import { RecentChanges } from './RecentChanges'
import { StockBadge } from './StockBadge'

export function ProductPage({ productId }: { productId: string }) {
  const live = useLiveProduct(productId)
  const { error, refetch } = useQuery(productQuery(productId))
  const { data: history } = useQuery(historyQuery(productId))
  const { data: status } = useQuery(statusQuery)
  useTitle(live?.product.name ?? 'Product')
  useEffect(() => {
    track('PRODUCT_VIEW', { productId })
    setOpenProduct(productId)
    return () => setOpenProduct(null)
  }, [productId])

  if (!live) {
    if (!error) return <p className="py-16 text-soft">Fetching the product…</p>
    const unknown = error instanceof Refused && error.problem.status === 404
    if (!unknown) return <Trouble error={error} what="The product could not be read" onRetry={() => void refetch()} />
    // Where nothing is sold yet, nobody knows what will be.
    return status && status.catalog !== 'live' ? <NotYet /> : <NotFound what="product" />
  }
  const { product } = live
  return (
    <article className="pt-6 sm:pt-8" data-product={productId}>
      <nav aria-label="Breadcrumb" className="text-[0.95rem] text-soft">
        <Link href="/" className="link inline-flex min-h-11 items-center">
          Everything
        </Link>
        {product.category && (
          <>
            <span aria-hidden className="mx-2">
              /
            </span>
            <Link href={hrefOf({ category: product.category })} className="link inline-flex min-h-11 items-center">
              {product.category}
            </Link>
          </>
        )}
      </nav>
      <div className="mt-2 grid gap-x-14 gap-y-6 md:grid-cols-2">
        <div>
          <div className="px-4 sm:px-8">
            <Picture productId={productId} url={product.imageUrl} alt={`Picture of ${product.name}`} eager className="aspect-[5/4] h-auto w-full sm:aspect-square rounded-t-2xl object-cover" />
          </div>
          <div className="border-t-4 border-edge px-4 sm:px-8">
            <PriceLabel live={live} was={history ? priceBefore(history, product.price) : null} large />
          </div>
        </div>
        <div className="md:pt-8">
          <p className="text-soft">{product.brand}</p>
          <h1 className="mt-1 text-3xl font-bold sm:text-[2.6rem]">{product.name}</h1>
          <div className="mt-3 flex flex-wrap items-center gap-x-6 gap-y-1">
            <StockBadge live={live} />
            <Rating rating={product.rating} reviewCount={product.reviewCount} />
          </div>
          <BuyBox live={live} />
          <p className="mt-6 max-w-prose">{product.description}</p>
          {product.tags.length > 0 && (
            <ul className="mt-4 flex flex-wrap gap-x-4" aria-label="Tags">
              {product.tags.map((tag) => (
                <li key={tag}>
                  <Link href={hrefOf({ search: tag })} className="link inline-flex min-h-11 items-center text-soft">
                    {tag}
                  </Link>
                </li>
              ))}
            </ul>
          )}
        </div>
      </div>
      <RecentChanges history={history} />
    </article>
  )
}

function NotYet() {
  return (
    <>
      <h1 className="sr-only">Product</h1>
      <EmptyShop />
    </>
  )
}
