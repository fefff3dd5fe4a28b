import { count } from '../lib/locale'
import type { Order } from '../wire'

/** Whose clock a time was read from. Times of different clocks differ by more than what lies between them. */
export type Clock = 'database' | 'shop' | 'broker' | 'page'

/** A step as the server sends it. */
export type ServerStep = { readonly step: 'placed' | 'published' | 'applied' | 'settled'; readonly at: number; readonly clock: Exclude<Clock, 'page'> }

/** What of an order its timeline is made of. */
export type Timed = Pick<Order, 'useCdc' | 'status' | 'createdAt'> & { readonly timeline?: readonly ServerStep[] }

/** One step as it is shown. `at` is null while it has not happened, `sinceMs` is the time since the step before it, `exact` whether one clock measured both. */
export type TimelineStep = {
  readonly step: ServerStep['step'] | 'told'
  readonly name: string
  readonly what: string
  readonly at: number | null
  readonly clock: Clock | null
  readonly sinceMs: number | null
  readonly exact: boolean
}

/** `totalMs`: from placed to settled, both by the database's clock; null until then. */
export type Timeline = { readonly steps: readonly TimelineStep[]; readonly totalMs: number | null }

export const CLOCKS: Record<Clock, string> = { database: 'database’s clock', shop: 'shop’s clock', broker: 'broker’s clock', page: 'this device’s clock' }

const ORDER = ['placed', 'published', 'applied', 'settled'] as const

function textOf(step: ServerStep['step'], useCdc: boolean): [name: string, what: string] {
  switch (step) {
    case 'placed':
      return ['Placed', 'written to the database']
    case 'published':
      return useCdc ? ['Read from the WAL', 'published by the change-data-capture reader'] : ['Published', 'sent to inventory by the shop']
    case 'applied':
      return ['Applied', 'inventory answered every item']
    case 'settled':
      return ['Committed', 'outcome written to the database']
  }
}

/**
 * An order's way, step by step, for direct and change-data-capture orders alike. No time is negative: a step whose clock is behind that of
 * the step before it counts as simultaneous. A server that sends no steps leaves what the order itself says. `told`: when this page asked
 * for the order and saw its outcome; that is a measure of its own, since a device's clock may be off by hours.
 */
export function timelineOf(order: Timed, told: { askedAt: number; toldAt: number | null } | null = null): Timeline {
  const known = new Map((order.timeline ?? []).map((step) => [step.step, step]))
  if (!known.has('placed')) known.set('placed', { step: 'placed', at: order.createdAt, clock: 'database' })
  const steps: TimelineStep[] = []
  let before: ServerStep | null = null
  for (const step of ORDER) {
    const [name, what] = textOf(step, order.useCdc)
    const reached: ServerStep | undefined = known.get(step)
    const sinceMs: number | null = reached && before ? Math.max(0, reached.at - before.at) : null
    steps.push({ step, name, what, at: reached?.at ?? null, clock: reached?.clock ?? null, sinceMs, exact: before?.clock === reached?.clock })
    if (reached) before = before && before.at > reached.at ? { ...reached, at: before.at } : reached
  }
  if (told) {
    const sinceMs = told.toldAt === null ? null : Math.max(0, told.toldAt - told.askedAt)
    steps.push({ step: 'told', name: 'Shown here', what: 'from your click to this page', at: told.toldAt, clock: told.toldAt === null ? null : 'page', sinceMs, exact: true })
  }
  return { steps, totalMs: totalOf(known) }
}

function totalOf(known: ReadonlyMap<ServerStep['step'], ServerStep>): number | null {
  const [placed, settled] = [known.get('placed'), known.get('settled')]
  return placed && settled && placed.clock === settled.clock ? Math.max(0, settled.at - placed.at) : null
}

/** A length of time: `203 ms`, `12.4 s`, `3 min 20 s`, `2 h 5 min`. */
export function duration(ms: number): string {
  if (ms < 1_000) return `${count(Math.round(ms))} ms`
  if (ms < 60_000) return `${(Math.floor(ms / 100) / 10).toFixed(1)} s`
  const seconds = Math.floor(ms / 1_000)
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`
  return `${count(Math.floor(seconds / 3_600))} h ${Math.floor((seconds % 3_600) / 60)} min`
}
