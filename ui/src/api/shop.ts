import { identity } from '../lib/identity'
import type { Cart, CartAdd, CheckoutRequest, Facets, Front, InventoryState, Order, Product, ProductChange, Status, TrackedEvents } from '../wire'
import { tracing } from '../trace/tracing'
import { call, callWithHeaders } from './http'

type Options = { signal?: AbortSignal | undefined }
const id = encodeURIComponent

/** The calls of the shop, one function each. */
export const shop = {
  /** One page of a list, and how many products the whole list has; null where the shop does not say. */
  products: async (query: string, options?: Options): Promise<{ products: unknown; total: number | null }> => {
    const { body, headers } = await callWithHeaders<unknown>(`/products?${query}`, options)
    const total = headers.get('x-total-count')
    return { products: body, total: total === null ? null : Number(total) }
  },
  facets: (query: string, options?: Options) => call<Facets>(`/products/facets?${query}`, options),
  front: (options?: Options) => call<Front>('/front', { ...options, timeoutMs: 4_000 }),
  product: (productId: string, options?: Options) => call<Product>(`/product/${id(productId)}`, options),
  /** Changes of stock and price in the last `minutes`. */
  history: (productId: string, minutes: number, options?: Options) => call<ProductChange[]>(`/product/${id(productId)}/history?minutes=${minutes}`, options),
  /** Products that go with one. */
  related: (productId: string, options?: Options) => call<{ products: Product[] }>(`/recommendations/product/${id(productId)}`, options),
  inventoryState: (options?: Options) => call<InventoryState>('/inventory/state', options),
  status: (options?: Options) => call<Status>('/status', options),
  cart: (options?: Options) => call<Cart>(`/cart/${id(identity.sessionId)}`, options),
  addToCart: (productId: string, quantity: number) =>
    call<Cart>(`/cart/${id(identity.sessionId)}/add`, { method: 'POST', body: { productId, quantity, userId: identity.userId } satisfies CartAdd }),
  /** Makes a line hold `quantity` units, none to remove it. Absolute, so asking twice does no harm. */
  setQuantity: (productId: string, quantity: number) => {
    const path = `/cart/${id(identity.sessionId)}/items/${id(productId)}`
    return quantity > 0 ? call<Cart>(path, { method: 'PUT', body: { quantity } }) : call<Cart>(path, { method: 'DELETE' })
  },
  /** Places the order. The same `key` with the same body gives the same order, however often it is asked. */
  checkout: (body: CheckoutRequest, key: string) =>
    call<Order>('/checkout', { method: 'POST', body, headers: { 'idempotency-key': key }, span: tracing()?.clickCheckout(), timeoutMs: 20_000 }),
  orders: (options?: Options) => call<Order[]>(`/orders?sessionId=${id(identity.sessionId)}`, options),
  order: (orderId: string, options?: Options) => call<Order>(`/orders/${id(orderId)}?sessionId=${id(identity.sessionId)}`, options),
  track: (batch: TrackedEvents) => call<unknown>('/events', { method: 'POST', body: batch, timeoutMs: 5_000 }),
}

/** Where the shop serves a product's generated picture. */
export function pictureOf(productId: string): string {
  return `/api/ecommerce/product/${id(productId)}/image`
}
