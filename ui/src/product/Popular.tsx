import { useQuery } from '@tanstack/react-query'

import { listingQuery } from '../api/queries'
import { ProductCard } from './ProductCard'

const SHOWN = 4
const QUERY = new URLSearchParams({ sort: 'popular', inStock: 'true', limit: String(SHOWN) }).toString()

/** Something to go on with, on pages that have nothing of their own to show. */
export function Popular() {
  const { data: found } = useQuery(listingQuery(QUERY))
  if (found?.ids.length === 0) return null
  return (
    <section className="mt-12 min-h-[30rem]" aria-labelledby="popular">
      <h2 id="popular" className="text-2xl font-bold">
        Popular in the shop
      </h2>
      <ul className="mt-5 grid grid-cols-2 md:grid-cols-4">
        {found?.ids.map((productId) => (
          <ProductCard key={productId} productId={productId} eager={false} />
        ))}
      </ul>
    </section>
  )
}
