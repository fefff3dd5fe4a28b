import { useQuery } from '@tanstack/react-query'
import { useEffect } from 'react'
import { Link } from 'wouter'

import { Refused } from '../api/http'
import { historyQuery, productQuery, statusQuery } from '../api/queries'
import { EmptyShop } from '../grid/EmptyShop'
import { hrefOf } from '../grid/filters'
import { nameOf } from '../lib/text'
import { Name, Words } from '../lib/Name'
import { useNow } from '../lib/now'
import { ago } from '../lib/time'
import { useLiveProduct } from '../live/catalogue'
import { setOpenProduct } from '../live/shopfront'
import { NotFound } from '../shell/NotFound'
import { Trouble } from '../shell/Trouble'
import { useTitle } from '../shell/useTitle'
import { track } from '../track/track'
import type { ProductChange } from '../wire'
import { BuyBox } from './BuyBox'
import { recentFirst, resultOf, textOf } from './history'
import { Picture } from './Picture'
import { PriceLabel } from './PriceLabel'
import { Rating } from './Rating'
import { RecentChanges } from './RecentChanges'
import { Related } from './Related'
import { StockBadge } from './StockBadge'

/** A name of more characters than this is set smaller: it is no longer a headline. */
const LONG_NAME = 60

export function ProductPage({ productId }: { productId: string }) {
  const known = useLiveProduct(productId)
  const { error, refetch } = useQuery(productQuery(productId))
  const { data: history } = useQuery(historyQuery(productId))
  const { data: status } = useQuery(statusQuery)
  useTitle(known ? nameOf(known.product.name) : 'Product')
  useEffect(() => {
    track('PRODUCT_VIEW', { productId })
    setOpenProduct(productId)
    return () => setOpenProduct(null)
  }, [productId])

  const unknown = error instanceof Refused && error.problem.status === 404
  if (!known) {
    if (!error) return <Skeleton />
    if (!unknown) return <Trouble error={error} what="The product could not be read" onRetry={() => void refetch()} />
    // Where nothing is sold yet, the product may still be added.
    return status && status.catalog !== 'live' ? <NotYet /> : <NotFound what="product" />
  }
  // A page without a socket learns of the removal by a request.
  const live = unknown && status?.catalog === 'live' ? { ...known, removed: true } : known
  const { product } = live
  return (
    <article className="pt-4 sm:pt-6" data-product={productId}>
      <Breadcrumb category={product.category} />
      <div className="mt-2 grid gap-x-14 gap-y-6 md:grid-cols-[minmax(0,1fr)_minmax(0,1.05fr)]">
        <div className="min-w-0 self-start md:sticky md:top-24">
          <div className="px-4 sm:px-8">
            <Picture productId={productId} url={product.imageUrl} alt={`Picture of ${nameOf(product.name)}`} eager className="aspect-[5/4] h-auto w-full rounded-t-2xl object-cover sm:aspect-square" />
          </div>
          <div className="border-t-4 border-edge" />
        </div>
        <div className="min-w-0">
          <p className="line-clamp-2 text-soft">
            <Words text={product.brand} />
          </p>
          <h1 className={`mt-1 font-bold ${product.name.length > LONG_NAME ? 'text-2xl' : 'text-3xl sm:text-[2.6rem]'}`}>
            <Name text={product.name} />
          </h1>
          <div className="mt-3 flex flex-wrap items-center gap-x-6 gap-y-1">
            <Rating rating={product.rating} reviewCount={product.reviewCount} />
          </div>
          {/* Price, stock and button stand together: what it costs, whether it is there, and how to get it. */}
          <div className="mt-5 border-t-4 border-edge">
            <div className="@container flex flex-wrap items-center gap-x-6 gap-y-2 px-1">
              <PriceLabel live={live} large />
              <StockBadge live={live} />
            </div>
          </div>
          <BuyBox live={live} />
          <LastChange history={history} />
          <p className="mt-5 max-w-prose whitespace-pre-line">
            <Words text={product.description} />
          </p>
          <Tags tags={product.tags} />
          <Related product={product} />
        </div>
      </div>
      <RecentChanges product={product} history={history} />
    </article>
  )
}

function Breadcrumb({ category }: { category: string }) {
  return (
    <nav aria-label="Breadcrumb" className="text-[0.95rem] text-soft">
      <Link href="/" className="link inline-flex min-h-11 items-center">
        Everything
      </Link>
      {category && (
        <>
          <span aria-hidden className="mx-2">
            /
          </span>
          <Link href={hrefOf({ category })} className="link inline-flex min-h-11 max-w-full items-center">
            <span className="line-clamp-2">
              <Words text={category} />
            </span>
          </Link>
        </>
      )}
    </nav>
  )
}

/** When anything about it last changed, beside the figures that did. Its place does not depend on whether there was anything. */
function LastChange({ history }: { history: readonly ProductChange[] | undefined }) {
  const now = useNow(5_000)
  const last = recentFirst(history ?? [])[0]
  return (
    <p className="mt-4 min-h-6 text-[0.95rem] tabular-nums text-soft" data-testid="last-change">
      {last ? `Last change: ${textOf(last)}, ${resultOf(last)}, ${ago(last.timestamp, now)}` : history ? 'No change of stock or price in the last hour.' : ''}
      <span className="block">Tax and shipping are in the total that you see before you order.</span>
    </p>
  )
}

function Tags({ tags }: { tags: readonly string[] }) {
  if (tags.length === 0) return null
  return (
    <ul className="mt-3 flex flex-wrap gap-x-4" aria-label="Tags">
      {[...new Set(tags)].map((tag) => (
        <li key={tag} className="min-w-0">
          <Link href={hrefOf({ search: tag })} className="link inline-flex min-h-11 max-w-full items-center text-soft">
            <span className="line-clamp-2">
              <Words text={tag} />
            </span>
          </Link>
        </li>
      ))}
    </ul>
  )
}

/** The product's place while it is on its way, as large as it will be. */
function Skeleton() {
  return (
    <div className="pt-4 sm:pt-6">
      <h1 className="sr-only">Product</h1>
      <p className="flex min-h-11 items-center text-[0.95rem] text-soft">Fetching the product…</p>
      <div aria-hidden className="mt-2 grid gap-x-14 gap-y-6 md:grid-cols-[minmax(0,1fr)_minmax(0,1.05fr)]">
        <div className="min-w-0">
          <div className="px-4 sm:px-8">
            <div className="aspect-[5/4] rounded-t-2xl bg-well sm:aspect-square" />
          </div>
          <div className="border-t-4 border-line" />
        </div>
        <div className="min-w-0">
          <div className="h-6 w-24 rounded bg-well" />
          <div className="mt-1 h-9 w-4/5 rounded bg-well sm:h-12" />
          <div className="mt-3 h-6 w-28 rounded bg-well" />
          <div className="mt-5 border-t-4 border-line px-1">
            <div className="hang h-[4.25rem] w-40 bg-well" />
          </div>
          <div className="mt-5 h-11 w-64 max-w-full rounded-lg bg-well" />
        </div>
      </div>
    </div>
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
