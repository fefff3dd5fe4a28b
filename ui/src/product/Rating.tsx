import { count } from '../lib/locale'

/** Stars out of five and the number of reviews. */
export function Rating({ rating, reviewCount }: { rating: number; reviewCount: number }) {
  if (reviewCount <= 0) return <p className="text-[0.95rem] text-soft">No reviews yet</p>
  return (
    <p className="flex items-center gap-1.5 text-[0.95rem] text-soft">
      <svg viewBox="0 0 12 12" className="size-3.5 fill-ink" aria-hidden>
        <path d="M6 .5 7.7 4.1l3.9.5-2.9 2.7.8 3.9L6 9.3l-3.5 1.9.8-3.9L.4 4.6l3.9-.5z" />
      </svg>
      <span>
        <span className="font-semibold text-ink">{rating.toFixed(1)}</span>
        <span className="sr-only"> of 5 stars,</span> ({count(reviewCount)}
        <span className="sr-only"> reviews</span>)
      </span>
    </p>
  )
}
