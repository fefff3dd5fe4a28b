import { Refused } from '../api/http'
import type { CheckoutRequest, Order, Problem } from '../wire'

/** What this page asks for: it leaves nothing out. */
export type CheckoutBody = Required<CheckoutRequest>

/** One attempt to turn a cart into an order: a body and the key that makes asking again harmless. */
export type Ask = { readonly key: string; readonly body: CheckoutBody; readonly at: number }

/**
 * Where checkout stands. `asking`: the answer is out, with `again` after one that failed. `unanswered` is the dangerous one: the order may exist. Only the very same ask may follow,
 * until the server has said yes or no. `refused`: there is no order, the cart is as it was, a new ask may be made.
 */
export type Attempt =
  | { readonly step: 'none' }
  | { readonly step: 'asking'; readonly ask: Ask; readonly again: boolean }
  | { readonly step: 'unanswered'; readonly ask: Ask; readonly reason: string }
  | { readonly step: 'refused'; readonly problem: Problem }
  | { readonly step: 'placed'; readonly order: Order }

export type AttemptEvent =
  | { readonly type: 'ask'; readonly body: CheckoutBody; readonly newKey: string; readonly at: number }
  | { readonly type: 'answered'; readonly order: Order }
  | { readonly type: 'failed'; readonly error: unknown; readonly goesOn: boolean }
  | { readonly type: 'dismissed' }

/** How long the server keeps a key: 24 h, less an hour for clocks that differ. In milliseconds. */
const KEY_LIVES_MS = 23 * 3_600_000

export function nextAttempt(attempt: Attempt, event: AttemptEvent): Attempt {
  switch (event.type) {
    case 'ask':
      if (attempt.step === 'asking' || attempt.step === 'placed') return attempt
      return { step: 'asking', ask: attempt.step === 'unanswered' ? attempt.ask : { key: event.newKey, body: event.body, at: event.at }, again: attempt.step === 'unanswered' }
    case 'answered':
      if (attempt.step !== 'asking') return attempt
      return isOrder(event.order) ? { step: 'placed', order: event.order } : { step: 'unanswered', ask: attempt.ask, reason: 'The answer could not be read.' }
    case 'failed':
      if (attempt.step !== 'asking') return attempt
      if (isRefusal(event.error)) return { step: 'refused', problem: event.error.problem }
      if (event.goesOn) return { ...attempt, again: true }
      return { step: 'unanswered', ask: attempt.ask, reason: event.error instanceof Error ? event.error.message : 'The shop did not answer.' }
    case 'dismissed':
      return attempt.step === 'refused' ? { step: 'none' } : attempt
  }
}

/** Whether the server said no for good: 408, 425, 429 and every 5xx may hide an order that was written. */
export function isRefusal(error: unknown): error is Refused {
  if (!(error instanceof Refused)) return false
  const { status } = error.problem
  return status >= 400 && status < 500 && ![408, 425, 429].includes(status)
}

function isOrder(value: unknown): boolean {
  return typeof value === 'object' && value !== null && typeof (value as Order).orderId === 'string' && (value as Order).orderId !== ''
}

/** What to keep while the answer is out, so that a reloaded page asks again with the same key; null = nothing. */
export function toKeep(attempt: Attempt): string | null {
  if (attempt.step === 'asking') return JSON.stringify(attempt.ask)
  return attempt.step === 'unanswered' ? JSON.stringify({ ...attempt.ask, reason: attempt.reason }) : null
}

/** The attempt that a reloaded page goes on with. */
export function restored(kept: string | null, now: number): Attempt {
  if (kept === null) return { step: 'none' }
  try {
    const { reason, ...ask } = JSON.parse(kept) as Ask & { reason?: unknown }
    if (typeof ask.key !== 'string' || typeof ask.body !== 'object' || !(now - ask.at < KEY_LIVES_MS)) return { step: 'none' }
    return { step: 'unanswered', ask, reason: typeof reason === 'string' ? reason : 'The shop has not answered yet.' }
  } catch {
    return { step: 'none' }
  }
}
