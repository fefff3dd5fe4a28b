import { useQuery } from '@tanstack/react-query'
import { Pause, Play } from 'lucide-react'
import { useEffect, useState } from 'react'
import { Link } from 'wouter'

import { frontQuery } from '../api/queries'
import { productHref } from '../lib/address'
import { Name } from '../lib/Name'
import { ago, timeOfDay } from '../lib/time'
import { KEPT, moves, nextPlaces, type Move } from '../live/moves'
import { Picture } from '../product/Picture'

/** At most one change in this time, in milliseconds: what moves faster can't be read, and must be pausable (WCAG 2.2.2). */
const CHANGES_EVERY_MS = 2_000
/** The steps of "12 s ago", in milliseconds. */
const AGO_STEP_MS = 10_000

/** The shop's last moves, each in its place: a new one replaces the oldest, so that nothing else stirs. */
export function MovingNow() {
  const [paused, setPaused] = useState(false)
  const [held, setHeld] = useState(false)
  const { places, now } = usePlaces(paused || held)
  return (
    <section aria-labelledby="moving" className="pt-6 sm:pt-8" data-testid="ticker">
      <div className="flex items-center justify-between gap-4">
        <h1 id="moving" className="text-2xl font-bold min-[22rem]:text-3xl sm:text-[2.6rem]">
          Moving right now
        </h1>
        <button type="button" onClick={() => setPaused(!paused)} className="btn-plain shrink-0 px-3 sm:px-5">
          {paused ? <Play size={18} aria-hidden /> : <Pause size={18} aria-hidden />}
          {paused ? 'Resume' : 'Pause'}
          <span className="sr-only"> live changes</span>
        </button>
      </div>
      {/* What lies under the pointer or has the focus stays, so that a click opens the product that it was aimed at. */}
      <ul
        className="-mx-4 mt-3 grid h-[15.5rem] snap-x scroll-px-4 auto-cols-[min(20rem,85%)] grid-flow-col grid-rows-3 gap-x-4 overflow-x-auto px-4 [scrollbar-width:none] sm:-mx-6 sm:scroll-px-6 sm:px-6 md:mx-0 md:h-40 md:auto-cols-fr md:grid-rows-2 md:overflow-visible md:px-0 min-[106.25rem]:h-20 min-[106.25rem]:grid-rows-1"
      >
        {places.map((move) => (
          <Place key={move.productId} move={move} onHold={setHeld} when={paused ? `at ${timeOfDay(move.at)}` : ago(move.at, Math.max(move.at, now))} />
        ))}
        {Array.from({ length: KEPT - places.length }, (_, free) => (
          <li key={free} className="flex items-center gap-3 border-t border-line text-soft">
            <span className="size-14 shrink-0 rounded-lg bg-well" />
            {free === 0 && 'Live changes appear here.'}
          </li>
        ))}
      </ul>
    </section>
  )
}

function Place({ move, when, onHold }: { move: Move; when: string; onHold: (held: boolean) => void }) {
  return (
    <li data-move={move.productId} className="relative flex min-w-0 snap-start items-center gap-3 border-t border-line">
      <Picture productId={move.productId} url={move.imageUrl} alt="" eager className="size-14 shrink-0 rounded-lg object-cover" />
      <div key={move.key} className="animate-arrive min-w-0 leading-snug">
        <p className="truncate">
          <span className="font-bold tabular-nums">{move.text}</span>
          {move.detail && <span className="text-soft"> · {move.detail}</span>}
        </p>
        <p className="flex min-w-0 gap-2">
          <Link
            href={productHref(move.productId)}
            onPointerEnter={({ pointerType }) => onHold(pointerType === 'mouse')}
            onPointerLeave={() => onHold(false)}
            onFocus={() => onHold(true)}
            onBlur={() => onHold(false)}
            className="min-w-0 truncate after:absolute after:inset-0 hover:underline hover:decoration-2 hover:underline-offset-4"
          >
            <Name text={move.name} />
          </Link>
          <span className="shrink-0 tabular-nums text-soft">{when}</span>
        </p>
      </div>
    </li>
  )
}

/** The moves on screen, and the time from which their age is computed; both stand still when stopped. */
function usePlaces(stopped: boolean): { places: readonly Move[]; now: number } {
  const [state, setState] = useState<{ places: readonly Move[]; now: number }>(() => ({ places: [], now: floor(Date.now()) }))
  // Its answer brings the first moves.
  useQuery(frontQuery)
  useEffect(() => {
    if (stopped) return
    const tick = () =>
      setState((shown) => {
        const [places, now] = [nextPlaces(begun(shown.places), moves.get()), floor(Date.now())]
        return places === shown.places && now === shown.now ? shown : { places, now }
      })
    const timer = setInterval(tick, CHANGES_EVERY_MS)
    return () => clearInterval(timer)
  }, [stopped])
  return { places: begun(state.places), now: state.now }
}

function begun(places: readonly Move[]): readonly Move[] {
  return places.length > 0 ? places : moves.get()
}

function floor(at: number): number {
  return Math.floor(at / AGO_STEP_MS) * AGO_STEP_MS
}
