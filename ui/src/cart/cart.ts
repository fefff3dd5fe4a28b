import { useQuery } from '@tanstack/react-query'

import { cartQuery, queryClient } from '../api/queries'
import { shop } from '../api/shop'
import { announce } from '../lib/announcer'
import { Observable, useObservable } from '../lib/observable'
import { toast } from '../lib/toasts'
import { track } from '../track/track'
import type { Cart, CartUpdate } from '../wire'
import { linesOf, newerCart, unfulfilled, type CartLine, type Wishes } from './wishes'

/** How long a change may wait for the server's cart before it is taken back, in milliseconds. */
const CONFIRM_WITHIN_MS = 5_000

const wishes = new Observable<Wishes>(new Map())
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

/** Adds units of a product. Rejects with the API's error. */
export async function addToCart(productId: string, name: string, quantity: number): Promise<void> {
  await queryClient.cancelQueries({ queryKey: cartQuery.queryKey })
  takeCart(await shop.addToCart(productId, quantity))
  track('ADD_TO_CART', { productId, quantity })
  toast(`${quantity > 1 ? `${quantity} × ` : ''}${name} added to your cart`, { href: '/cart', label: 'View cart' })
}

/** Asks for `quantity` units of a line, 0 to remove it. Shown at once, kept until the server's cart says the same. */
export function setQuantity(line: CartLine, quantity: number): void {
  wishes.set(new Map(wishes.get()).set(line.productId, quantity))
  track(quantity > 0 ? 'UPDATE_CART_QUANTITY' : 'REMOVE_FROM_CART', { productId: line.productId, quantity })
  announce(quantity > 0 ? `${line.productName}: ${quantity}` : `${line.productName} removed from your cart`)
  sendWish(line.productId, quantity)
  clearTimeout(deadline)
  deadline = setTimeout(() => void giveUp(), CONFIRM_WITHIN_MS)
}

/** Connected again: wishes are sent anew (they are absolute, so twice does no harm) and the cart is read. */
export function cartConnected(): void {
  for (const [productId, quantity] of wishes.get()) sendWish(productId, quantity)
  void queryClient.invalidateQueries({ queryKey: cartQuery.queryKey })
}

/** The cart changed at the server, by an order or a new price: it is read again. */
export function rereadCart(): void {
  void queryClient.invalidateQueries({ queryKey: cartQuery.queryKey })
}

function sendWish(productId: string, quantity: number): void {
  send(quantity > 0 ? { type: 'CART_UPDATE', action: 'UPDATE_QUANTITY', payload: { productId, quantity } } : { type: 'CART_UPDATE', action: 'REMOVE', payload: { productId } })
}

async function giveUp(): Promise<void> {
  await queryClient.refetchQueries({ queryKey: cartQuery.queryKey })
  const cart = queryClient.getQueryData(cartQuery.queryKey)
  const left = cart ? unfulfilled(wishes.get(), cart) : wishes.get()
  wishes.set(new Map())
  if (left.size > 0) toast('Your cart could not be changed: the shop is not connected. Please try again.')
}

export type CartOnPage = { cart: Cart | undefined; lines: CartLine[]; waiting: boolean; error: Error | null }

/** The cart as the page shows it. `waiting`: changes are under way, sums are not the final ones. */
export function useCart(): CartOnPage {
  const { data: cart, error } = useQuery(cartQuery)
  const asked = useObservable(wishes)
  const pending = cart ? unfulfilled(asked, cart) : asked
  return { cart, lines: linesOf(cart, asked), waiting: pending.size > 0, error: cart ? null : error }
}
