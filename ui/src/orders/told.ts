import { Observable } from '../lib/observable'

/** When this page asked for an order and when it saw the outcome, both by this device's clock, in epoch milliseconds. */
export type Told = { readonly askedAt: number; readonly toldAt: number | null }

/** By order; only of orders that this page placed since it was loaded. */
export const told = new Observable<ReadonlyMap<string, Told>>(new Map())

export function noteAsked(orderId: string, askedAt: number): void {
  told.set(new Map(told.get()).set(orderId, { askedAt, toldAt: null }))
}

/** The outcome is on the page. Only the first time counts. */
export function noteTold(orderId: string, now: number): void {
  const known = told.get().get(orderId)
  if (known?.toldAt === null) told.set(new Map(told.get()).set(orderId, { ...known, toldAt: now }))
}
