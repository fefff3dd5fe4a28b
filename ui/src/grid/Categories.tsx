import { useEffect, useRef } from 'react'
import { Link } from 'wouter'

import { plain } from '../lib/text'
import { track } from '../track/track'
import { FROM_THE_START, hrefOf, type Filters } from './filters'

/** Categories, each an address. One row that scrolls on a phone, faded where it goes on; the padding leaves room for the focus ring. */
export function Categories({ filters, names }: { filters: Filters; names: readonly string[] }) {
  const nav = useRef<HTMLElement>(null)
  useEffect(() => {
    const chosen = names.includes(filters.category) ? nav.current?.querySelector<HTMLElement>('[aria-current]') : null
    if (nav.current && chosen) nav.current.scrollLeft = chosen.offsetLeft - (nav.current.clientWidth - chosen.offsetWidth) / 2
  }, [filters.category, names])
  return (
    <nav
      ref={nav}
      aria-label="Categories"
      className="relative max-sm:-mx-4 max-sm:-my-1.5 max-sm:max-w-[100vw] max-sm:overflow-x-auto max-sm:px-4 max-sm:py-1.5 max-sm:[mask-image:linear-gradient(to_right,transparent,#000_1rem,#000_calc(100%-1.75rem),transparent)] max-sm:[scrollbar-width:none]"
    >
      <ul className="flex min-h-11 gap-1 max-sm:w-max sm:flex-wrap">
        {['', ...names].map((category) => (
          <li key={category} className="min-w-0">
            <Link
              href={hrefOf({ ...filters, category, ...FROM_THE_START })}
              onClick={() => category && track('CATEGORY_BROWSE', { category })}
              aria-current={category === filters.category ? 'true' : undefined}
              className="inline-flex min-h-11 max-w-64 items-center rounded-lg border-2 border-transparent px-2 font-medium sm:px-2.5 hover:bg-well aria-[current=true]:bg-ink aria-[current=true]:text-paper"
            >
              <bdi className="truncate">{plain(category) || 'Everything'}</bdi>
            </Link>
          </li>
        ))}
      </ul>
    </nav>
  )
}
