import { cartQuery, historyQuery, noticed, orderQuery, ordersQuery, queryClient, statusQuery } from '../api/queries'
import { cartConnected, connectCart, rereadCart, takeCart } from '../cart/cart'
import { identity } from '../lib/identity'
import { toast } from '../lib/toasts'
import { isMine, onOrderElsewhere } from '../orders/mine'
import { newerOrder, withOrder } from '../orders/order'
import { flushAtEnd } from '../track/track'
import { withChange } from '../product/history'
import type { Envelope, Heartbeat, Order, Product } from '../wire'
import { catalogue } from './catalogue'
import { readCart, readChange, readOrder, readProduct, readProducts } from './decode'
import { Feed } from './feed'
import { remember } from './moves'
import { noticeOf, Throttle } from './notices'
import { rereadWithout } from './reread'

/** New and removed products put lists out of date; a burst of them rereads the lists once, after this many milliseconds. */
const REREAD_AFTER_MS = 300

/** Changes after which a cart with the product has other sums. */
const CHANGES_CARTS = new Set(['PRICE_CHANGED', 'PRODUCT_REMOVED', 'PRODUCT_ADDED'])

const notices = new Throttle((text) => toast(text))
let openProduct: string | null = null
let reread: ReturnType<typeof setTimeout> | undefined

function socketUrl(): string {
  const scheme = location.protocol === 'https:' ? 'wss:' : 'ws:'
  return `${scheme}//${location.host}/ecommerce/${encodeURIComponent(identity.sessionId)}/${encodeURIComponent(identity.userId)}`
}

/** The page's socket: what it brings goes to the catalogue, the cart, the orders and the notices. */
export const feed = new Feed({
  url: socketUrl(),
  open: (url, subprotocol) => new WebSocket(url, subprotocol),
  onFrame: take,
  onHeartbeat: beat,
  onOpen: () => {
    cartConnected()
    void queryClient.invalidateQueries({ queryKey: statusQuery.queryKey })
    void queryClient.invalidateQueries({ queryKey: ['order'] })
    void queryClient.refetchQueries({ predicate: ({ state }) => state.status === 'error' })
  },
  isOnline: () => navigator.onLine,
})

/** Starts the page's live part. */
export function openShop(): void {
  connectCart((message) => feed.send(message))
  addEventListener('online', feed.hurry)
  addEventListener('offline', feed.networkLost)
  addEventListener('pagehide', flushAtEnd)
  document.addEventListener('visibilitychange', () => document.visibilityState === 'visible' && feed.hurry())
  onOrderElsewhere(() => void queryClient.invalidateQueries({ queryKey: ordersQuery.queryKey }))
  feed.connect()
  rereadWithout(feed.connection)
}

/** The product whose page is open: its changes are told even if it is not in the cart. */
export function setOpenProduct(productId: string | null): void {
  openProduct = productId
}

function take({ eventType, payload }: Envelope): void {
  switch (eventType) {
    case 'PRODUCT_CACHE_SYNC':
      catalogue.replace(readProducts((payload as { products?: unknown } | null)?.products))
      return rereadLists()
    case 'PRODUCT_UPDATE':
      return takeProduct(readProduct(payload), (payload as { change?: unknown } | null)?.change)
    case 'SHOPPING_CART': {
      const cart = readCart(payload)
      return cart ? takeCart(cart) : undefined
    }
    case 'ORDER_UPDATE': {
      const order = readOrder(payload)
      return order ? takeOrder(order) : undefined
    }
  }
}

function takeProduct(product: Product | null, said: unknown): void {
  if (!product) return
  const change = readChange(said, product)
  if (catalogue.take(product, change)) rereadLists()
  if (!change) return
  remember(product, change, Date.now())
  queryClient.setQueryData(historyQuery(product.productId).queryKey, (known) => known && withChange(known, change))
  if (isInCart(product.productId) && CHANGES_CARTS.has(change.type)) rereadCart()
  if (isWatched(product.productId) && !(change.orderId && isMine(change.orderId))) {
    const notice = noticeOf(product, change)
    if (notice) notices.add(notice)
  }
}

function isInCart(productId: string): boolean {
  return queryClient.getQueryData(cartQuery.queryKey)?.items.some((item) => item.productId === productId) ?? false
}

function isWatched(productId: string): boolean {
  return productId === openProduct || isInCart(productId)
}

function takeOrder(order: Order): void {
  queryClient.setQueryData(orderQuery(order.orderId).queryKey, (known) => newerOrder(known, order))
  queryClient.setQueryData(ordersQuery.queryKey, (known) => known && withOrder(known, order))
}

function beat({ status, reload }: Heartbeat): void {
  if (status) queryClient.setQueryData(statusQuery.queryKey, noticed(status))
  if (!reload) return
  catalogue.doubt()
  void queryClient.invalidateQueries()
}

function rereadLists(): void {
  clearTimeout(reread)
  reread = setTimeout(() => void queryClient.invalidateQueries({ queryKey: ['listing'] }), REREAD_AFTER_MS)
}
