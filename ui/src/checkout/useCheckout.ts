import { useCallback, useSyncExternalStore } from 'react'

import { queryClient, orderQuery, ordersQuery } from '../api/queries'
import { shop } from '../api/shop'
import { rereadCart, takeCart } from '../cart/cart'
import { readCart } from '../live/decode'
import { Observable } from '../lib/observable'
import { storage } from '../lib/storage'
import { uuid } from '../lib/uuid'
import { feed } from '../live/shopfront'
import { rememberOrder } from '../orders/mine'
import { noteAsked } from '../orders/told'
import { track } from '../track/track'
import { nextAttempt, restored, toKeep, type Attempt, type AttemptEvent, type CheckoutBody } from './attempt'

const KEPT = 'kartshoppe.checkout'
/** Waits between the tries that need no click, in milliseconds. */
const TRY_AGAIN_MS = [700, 2_000]

/** Lives outside the page, so that leaving checkout while the answer is out loses nothing. */
const attempt = new Observable<Attempt>(restored(storage.get(KEPT), Date.now()))

function step(event: AttemptEvent): Attempt {
  const next = nextAttempt(attempt.get(), event)
  const kept = toKeep(next)
  if (kept === null) storage.remove(KEPT)
  else storage.set(KEPT, kept)
  attempt.set(next)
  return next
}

/** The key of the order that this page, not an earlier one, has asked for last. */
let askedHere: string | null = null

async function ask(body: CheckoutBody): Promise<void> {
  if (attempt.get().step === 'asking') return
  const begun = step({ type: 'ask', body, newKey: uuid(), at: Date.now() })
  if (begun.step !== 'asking') return
  askedHere = begun.ask.key
  for (let tries = 0; attempt.get().step === 'asking'; tries++) {
    const wait = TRY_AGAIN_MS[tries]
    try {
      step({ type: 'answered', order: await shop.checkout(begun.ask.body, begun.ask.key) })
    } catch (error) {
      const failed = step({ type: 'failed', error, goesOn: wait !== undefined })
      if (failed.step === 'asking') await new Promise((resolve) => setTimeout(resolve, wait))
    }
  }
  const end = attempt.get()
  if (end.step === 'placed') noteAsked(end.order.orderId, begun.ask.at)
  concluded(end)
}

function concluded(end: Attempt): void {
  if (end.step === 'placed') {
    rememberOrder(end.order.orderId)
    queryClient.setQueryData(orderQuery(end.order.orderId).queryKey, end.order)
    void queryClient.invalidateQueries({ queryKey: ordersQuery.queryKey })
    rereadCart()
    track('ORDER_PLACED', { orderId: end.order.orderId, total: end.order.totalAmount })
  }
  if (end.step === 'refused') {
    const cart = readCart(end.problem.cart)
    if (cart) takeCart(cart)
    else rereadCart()
  }
}

/** The shop is back: an order that this page has asked for, and that may be lost, is asked for again by its key without another click. */
let phase = feed.connection.get().phase
feed.connection.subscribe(() => {
  const before = phase
  phase = feed.connection.get().phase
  const now = attempt.get()
  if (phase === 'live' && before !== 'live' && now.step === 'unanswered' && now.ask.key === askedHere) void ask(now.ask.body)
})

export type Checkout = { attempt: Attempt; place: (body: CheckoutBody) => void; askAgain: () => void; dismiss: () => void; finish: () => void }

export function useCheckout(): Checkout {
  const current = useSyncExternalStore(attempt.subscribe, attempt.get)
  return {
    attempt: current,
    place: useCallback((body) => void ask(body), []),
    askAgain: useCallback(() => {
      const now = attempt.get()
      if (now.step === 'unanswered') void ask(now.ask.body)
    }, []),
    dismiss: useCallback(() => void step({ type: 'dismissed' }), []),
    finish: useCallback(() => attempt.set({ step: 'none' }), []),
  }
}
