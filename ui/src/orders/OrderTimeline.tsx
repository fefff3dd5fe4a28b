import { ExternalLink } from 'lucide-react'

import { useObservable } from '../lib/observable'
import { preciseTime } from '../lib/time'
import type { Order } from '../wire'
import { isSettled } from './order'
import { CLOCKS, duration, timelineOf, type TimelineStep } from './timeline'
import { told } from './told'

/** How an order came through the shop, live, with the time that each step took and the clock that measured it. */
export function OrderTimeline({ order }: { order: Order }) {
  const { steps, totalMs } = timelineOf(order, useObservable(told).get(order.orderId) ?? null)
  const next = isSettled(order) ? undefined : steps.find(({ at }) => at === null)
  return (
    <section aria-labelledby="timeline" className="mt-10">
      <div className="flex flex-wrap items-baseline justify-between gap-x-4">
        <h2 id="timeline" className="text-xl font-bold">
          Timeline
        </h2>
        {totalMs !== null && (
          <p className="tabular-nums text-soft" data-testid="timeline-total">
            Placed to committed in <strong className="text-ink">{duration(totalMs)}</strong>, by the {CLOCKS.database}
          </p>
        )}
      </div>
      <ol className="mt-3" data-testid="timeline">
        {steps.map((step) => (
          <Step key={step.step} step={step} next={step === next} settled={isSettled(order)} />
        ))}
      </ol>
      {order.traceUrl && (
        <a href={order.traceUrl} target="_blank" rel="noreferrer" className="link mt-3 inline-flex min-h-11 items-center gap-1.5">
          Open the trace of this order
          <ExternalLink size={16} aria-hidden />
          <span className="sr-only">, in a new tab</span>
        </a>
      )}
    </section>
  )
}

function Step({ step, next, settled }: { step: TimelineStep; next: boolean; settled: boolean }) {
  const done = step.at !== null
  return (
    <li data-step={step.step} data-done={done} className="group relative grid grid-cols-[1.25rem_minmax(0,1fr)_auto] gap-x-3 pb-4 last:pb-0">
      <span aria-hidden className="absolute bottom-0 left-[0.5625rem] top-5 w-0.5 bg-line group-last:hidden" />
      <svg viewBox="0 0 20 20" className="mt-0.5 size-5" aria-hidden>
        {done ? <circle cx="10" cy="10" r="7" className="fill-leaf" /> : <circle cx="10" cy="10" r="6" fill="none" strokeWidth="2" className={next ? 'stroke-leaf' : 'stroke-rim'} />}
        {done && <path d="m6.5 10.2 2.4 2.4 4.6-4.9" fill="none" strokeWidth="2" strokeLinecap="round" strokeLinejoin="round" className="stroke-on-leaf" />}
      </svg>
      <p className={`leading-snug ${done ? '' : 'text-soft'}`}>
        <span className="font-semibold">{step.name}</span>
        <span className="block text-[0.95rem] text-soft">{step.what}</span>
      </p>
      <p className="text-right leading-snug tabular-nums">
        <span className={done ? 'font-semibold' : 'text-soft'}>{timeText(step, next, settled)}</span>
        {step.clock && <span className="block text-[0.95rem] text-soft">{CLOCKS[step.clock]}</span>}
      </p>
    </li>
  )
}

/** The first step has a time of day, the others what they took; about, where two clocks measured the two ends. */
function timeText({ at, step, sinceMs, exact }: TimelineStep, next: boolean, settled: boolean): string {
  if (at === null) return next ? 'waiting…' : settled ? 'not recorded' : 'to come'
  if (step === 'placed' || sinceMs === null) return preciseTime(at)
  return `${exact ? '' : '≈ '}+${duration(sinceMs)}`
}
