import { Link } from 'wouter'

import { Popular } from '../product/Popular'
import { useTitle } from './useTitle'

export function NotFound({ what = 'page' }: { what?: string }) {
  useTitle('Not found')
  return (
    <div className="py-12">
      <p className="hang inline-block bg-label px-4 pb-4 pt-2 text-2xl font-bold text-on-label forced-colors:py-3">404</p>
      <h1 className="mt-4 text-3xl font-bold sm:text-4xl">There is no such {what}</h1>
      <p className="mt-3 max-w-prose text-soft">{what === 'order' ? 'Orders are shown in the browser that placed them.' : 'It may have moved, been sold for good, or never been here.'}</p>
      <div className="mt-6 flex flex-wrap gap-3">
        <Link href="/" className="btn-main">
          Back to the shelves
        </Link>
        {what === 'order' && (
          <Link href="/orders" className="btn-plain">
            Your orders
          </Link>
        )}
      </div>
      <Popular />
    </div>
  )
}
