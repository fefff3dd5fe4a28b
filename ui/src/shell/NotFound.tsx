import { Link } from 'wouter'

import { useTitle } from './useTitle'

export function NotFound({ what = 'page' }: { what?: string }) {
  useTitle('Not found')
  return (
    <div className="py-16">
      <p className="hang inline-block bg-label px-4 pb-4 pt-2 text-2xl font-bold text-on-label">404</p>
      <h1 className="mt-4 text-3xl font-bold sm:text-4xl">There is no such {what}</h1>
      <p className="mt-3 max-w-prose text-soft">It may have moved, been sold for good, or never been here.</p>
      <Link href="/" className="btn-main mt-6">
        Back to the shelves
      </Link>
    </div>
  )
}
