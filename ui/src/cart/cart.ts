import { useQuery } from '@tanstack/react-query'

import { Unanswered } from '../api/http'
import { cartQuery, queryClient } from '../api/queries'
import { shop } from '../api/shop'
import { announce } from '../lib/announcer'
import { Observable, useObservable } from '../lib/observable'
import { inText, sentence } from '../lib/text'
import { toast } from '../lib/toasts'
import { track } from '../track/track'
import type { Cart, CartUpdate } from '../wire'
import { linesOf, newerCart, unfulfilled, withAdditions, type AddedProduct, type Addition, type Additions, type CartLine, type Wishes } from './wishes'

/** How long a change that the socket took may wait for the server's cart before it is sent as a call, in milliseconds. */
const CONFIRM_WITHIN_MS = 5_000
/** Waits before a call that had no answer is made again, in milliseconds; after the last the change is taken back. */
const CALL_AGAIN_MS = [1_000, 3_000]
/** The API's largest quantity of one call. */
export const MOST = 1_000

const wishes = new Observable<Wishes>(new Map())
const additions = new Observable<Additions>(new Map())
/** What this page asked for last, line by line: such changes of the cart are the shopper's own. */
const asked = new Map<string, number>()
/** Products with a call under way. */
const adding = new Set<string>()
const calling = new Set<string>()
let send: (message: CartUpdate) => boolean = () => false
let deadline: ReturnType<typeof setTimeout> | undefined

/** Gives the cart its way to the server. */
export function connectCart(sender: typeof send): void {
  send = sender
}

/** Takes a cart that the server pushed or answered with. */
export function takeCart(incoming: Cart): void {
  const cart = newerCart(queryClient.getQueryData(cartQuery.queryKey), incoming)
  queryClient.setQueryData(cartQuery.queryKey, cart)
  wishes.set(unfulfilled(wishes.get(), cart))
}

/** Adds units of a product: shown at once, sent when those before them have been answered. Resolves when this page has no more to send. */
export async function addToCart(product: AddedProduct, quantity: number): Promise<void> {
  change(product, ({ queued }) => ({ queued: queued + quantity }))
  if (adding.has(product.productId)) return
  adding.add(product.productId)
  try {
    const added = await sendAll(product.productId)
    toast(`${added > 1 ? `${added} × ` : ''}${inText(product.name)} added to your cart`, { href: '/cart', label: 'View cart' })
  } catch (error) {
    additions.set(without(additions.get(), product.productId))
    rereadCart()
    const unsure = error instanceof Unanswered
    const reason = error instanceof Error ? sentence(error.message) : ''
    toast(unsure ? `${reason} Please check whether ${inText(product.name)} is in your cart.` : `${inText(product.name)} was not added. ${reason}`)
  } finally {
    adding.delete(product.productId)
  }
}

/** Sends what is queued, call after call, until nothing is. */
async function sendAll(productId: string): Promise<number> {
  let added = 0
  for (;;) {
    const next = additions.get().get(productId)
    if (!next || next.queued === 0) return added
    const sent = Math.min(next.queued, MOST)
    await queryClient.cancelQueries({ queryKey: cartQuery.queryKey })
    const base = queryClient.getQueryData(cartQuery.queryKey)?.items.find((item) => item.productId === productId)?.quantity ?? 0
    change(next.product, ({ queued }) => ({ base, sent, queued: queued - sent }))
    takeCart(await shop.addToCart(productId, sent))
    change(next.product, () => ({ base: 0, sent: 0 }))
    added += sent
    track('ADD_TO_CART', { productId, quantity: sent })
  }
}

function change(product: AddedProduct, by: (addition: Addition) => Partial<Addition>): void {
  const known = additions.get().get(product.productId) ?? { product, base: 0, sent: 0, queued: 0 }
  const next = { ...known, ...by(known) }
  const others = without(additions.get(), product.productId)
  additions.set(next.sent + next.queued === 0 ? others : new Map(others).set(product.productId, next))
}

function without<T>(map: ReadonlyMap<string, T>, key: string): ReadonlyMap<string, T> {
  return new Map([...map].filter(([other]) => other !== key))
}

/** Units of a product that are on their way into the cart. */
export function useAdding(productId: string): number {
  const addition = useObservable(additions).get(productId)
  return addition ? addition.sent + addition.queued : 0
}

/** Asks for `quantity` units of a line, 0 to remove it. Shown at once, kept until the server's cart says the same. */
export function setQuantity(line: Pick<CartLine, 'productId' | 'productName'>, quantity: number): void {
  wishes.set(new Map(wishes.get()).set(line.productId, quantity))
  asked.set(line.productId, quantity)
  track(quantity > 0 ? 'UPDATE_CART_QUANTITY' : 'REMOVE_FROM_CART', { productId: line.productId, quantity })
  announce(quantity > 0 ? `${inText(line.productName)}: ${quantity}` : `${inText(line.productName)} removed from your cart`)
  sendWish(line.productId, quantity)
  clearTimeout(deadline)
  deadline = setTimeout(() => {
    for (const [productId] of wishes.get()) void callFor(productId)
  }, CONFIRM_WITHIN_MS)
}

/** What this page asked for last, line by line, since it forgot. */
export function ownChanges(): ReadonlyMap<string, number> {
  return asked
}

export function forgetOwnChanges(): void {
  asked.clear()
}

/** Connected: wishes are sent again (they are absolute, so twice does no harm), and if that was not the first time, the cart is read again. */
export function cartConnected(again: boolean): void {
  for (const [productId, quantity] of wishes.get()) sendWish(productId, quantity)
  if (again) rereadCart()
}

/** The cart changed at the server, by an order or a new price: it is read again. */
export function rereadCart(): void {
  void queryClient.invalidateQueries({ queryKey: cartQuery.queryKey })
}

function sendWish(productId: string, quantity: number): void {
  const payload = quantity > 0 ? { productId, quantity } : { productId }
  if (!send({ type: 'CART_UPDATE', action: quantity > 0 ? 'UPDATE_QUANTITY' : 'REMOVE', payload })) void callFor(productId)
}

/** Sends the latest wish for a line as a call, for pages without a socket, until the cart fulfils it or the server refuses. */
async function callFor(productId: string): Promise<void> {
  if (calling.has(productId)) return
  calling.add(productId)
  let tries = 0
  try {
    for (let wish = wishes.get().get(productId); wish !== undefined; wish = wishes.get().get(productId)) {
      try {
        await queryClient.cancelQueries({ queryKey: cartQuery.queryKey })
        takeCart(await shop.setQuantity(productId, wish))
        if (wishes.get().get(productId) === wish) wishes.set(without(wishes.get(), productId))
      } catch (error) {
        const wait = CALL_AGAIN_MS[tries++]
        if (!(error instanceof Unanswered) || wait === undefined) throw error
        await new Promise((resolve) => setTimeout(resolve, wait))
      }
    }
  } catch (error) {
    wishes.set(without(wishes.get(), productId))
    rereadCart()
    toast(`Your cart could not be changed. ${error instanceof Error ? sentence(error.message) : ''}`)
  } finally {
    calling.delete(productId)
  }
}

export type CartOnPage = { cart: Cart | undefined; lines: CartLine[]; waiting: boolean; error: Error | null }

/** The cart as the page shows it. `waiting`: changes are under way, sums are not the final ones. */
export function useCart(): CartOnPage {
  const { data: cart, error } = useQuery(cartQuery)
  const wished = useObservable(wishes)
  const coming = useObservable(additions)
  const pending = cart ? unfulfilled(wished, cart) : wished
  return { cart, lines: withAdditions(linesOf(cart, wished), coming), waiting: pending.size + coming.size > 0, error: cart ? null : error }
}
