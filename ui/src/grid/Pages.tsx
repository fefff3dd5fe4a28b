import { useState, type FormEvent } from 'react'
import { Link, useLocation } from 'wouter'

import { count } from '../lib/locale'
import { RESULTS } from '../shell/useArrivals'
import { hrefOf, STEP, type Filters } from './filters'

/** The focus goes to the head of the list that a page link brings; the link itself may not be there any more. */
function focusResults(): void {
  document.getElementById(RESULTS)?.focus({ preventScroll: true })
}

/** Ways to any page of a long list, the last too. `next` is the page after what is shown. */
export function Pages({ filters, last, next }: { filters: Filters; last: number; next: number | null }) {
  const to = (page: number) => hrefOf({ ...filters, page, shown: STEP })
  const { page } = filters
  return (
    <nav aria-label="Pages" className="mt-8 flex flex-wrap items-center justify-center gap-x-1 gap-y-2 border-t border-line pt-6">
      <PageLink href={to(1)} page={page > 1 ? 1 : null}>
        First
      </PageLink>
      <PageLink href={to(page - 1)} page={page > 1 ? page - 1 : null}>
        Previous
      </PageLink>
      <GoTo key={page} page={page} last={last} to={to} />
      <PageLink href={to(next ?? last)} page={next}>
        Next
      </PageLink>
      <PageLink href={to(last)} page={next === null ? null : last}>
        Last
      </PageLink>
    </nav>
  )
}

function PageLink({ href, page, children }: { href: string; page: number | null; children: string }) {
  if (page === null) return <span className="btn px-3 text-soft max-sm:hidden">{children}</span>
  return (
    <Link href={href} onClick={focusResults} className="btn px-3 hover:bg-well" aria-label={`${children} page, ${count(page)}`}>
      {children}
    </Link>
  )
}

function GoTo({ page, last, to }: { page: number; last: number; to: (page: number) => string }) {
  const [, navigate] = useLocation()
  const [text, setText] = useState(String(page))
  const wanted = Number(text)
  const isPage = Number.isInteger(wanted) && wanted >= 1 && wanted <= last
  const go = (event: FormEvent) => {
    event.preventDefault()
    if (!isPage || wanted === page) return
    focusResults()
    navigate(to(wanted))
  }
  return (
    <form onSubmit={go} className="order-first flex w-full items-center justify-center gap-2 sm:order-none sm:w-auto">
      <label className="flex items-center gap-2">
        Page
        <input type="text" inputMode="numeric" value={text} aria-invalid={!isPage} onChange={({ target }) => setText(target.value.trim())} className="field w-20 text-center tabular-nums" />
      </label>
      <span className="whitespace-nowrap tabular-nums">of {count(last)}</span>
      <button type="submit" className="btn px-3 hover:bg-well">
        Go
      </button>
    </form>
  )
}
