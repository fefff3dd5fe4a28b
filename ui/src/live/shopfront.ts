import { cartQuery, historyQuery, type Listing, noticed, orderQuery, ordersQuery, queryClient, statusQuery } from '../api/queries'
import { cartConnected, connectCart, rereadCart, takeCart } from '../cart/cart'
import { identity } from '../lib/identity'
import { toast } from '../lib/toasts'
import { isMine, onOrderElsewhere } from '../orders/mine'
import { newerOrder, withOrder } from '../orders/order'
import { tracing, traceWhen } from '../trace/tracing'
import { flushAtEnd } from '../track/track'
import { withChange } from '../product/history'
import type { Envelope, Heartbeat, Order, Product } from '../wire'
import { takeRecommendation } from './bestSellers'
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
/** Whether a socket was open before, and a whole catalogue came. What a new page has read itself is not read again for their sake. */
let wasOpen = false
let wasSynced = false
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
  onOpen: opened,
  isOnline: () => navigator.onLine,
})

/** Starts the page's live part; `first`: what its first page waits for. */
export function openShop(first: Promise<unknown>): void {
  connectCart((message) => feed.send(message))
  addEventListener('online', feed.hurry)
  addEventListener('offline', feed.networkLost)
  addEventListener('pagehide', flushAtEnd)
  document.addEventListener('visibilitychange', () => document.visibilityState === 'visible' && feed.hurry())
  onOrderElsewhere(() => void queryClient.invalidateQueries({ queryKey: ordersQuery.queryKey }))
  rereadWithout(feed.connection)
  connectAfter(first)
}

/** However long the first answer takes, in milliseconds. */
const CONNECT_WITHIN_MS = 1_500

/** Opens the socket once the first products are drawn: reading the whole catalogue would hold them up. */
function connectAfter(first: Promise<unknown>): void {
  const timer = setTimeout(feed.connect, CONNECT_WITHIN_MS)
  const drawn = () => {
    clearTimeout(timer)
    feed.connect()
  }
  void first.then(() => requestAnimationFrame(() => setTimeout(drawn)))
}

/** The product whose page is open: its changes are announced even if it is not in the cart. */
export function setOpenProduct(productId: string | null): void {
  openProduct = productId
}

function take({ eventType, payload }: Envelope): void {
  switch (eventType) {
    case 'PRODUCT_CACHE_SYNC':
      return takeAll(readProducts((payload as { products?: unknown } | null)?.products))
    case 'PRODUCT_UPDATE':
      return takeProduct(readProduct(payload), (payload as { change?: unknown; traceparent?: unknown } | null) ?? {})
    case 'SHOPPING_CART': {
      const cart = readCart(payload)
      return cart ? takeCart(cart) : undefined
    }
    case 'ORDER_UPDATE': {
      const order = readOrder(payload)
      return order ? takeOrder(order) : undefined
    }
    case 'RECOMMENDATION':
      return takeRecommendation(payload)
  }
}

function opened(): void {
  cartConnected(wasOpen)
  if (wasOpen) {
    void queryClient.invalidateQueries({ queryKey: statusQuery.queryKey })
    void queryClient.invalidateQueries({ queryKey: ['order'] })
  }
  wasOpen = true
  void queryClient.refetchQueries({ predicate: ({ state }) => state.status === 'error' })
}

function takeAll(products: readonly Product[]): void {
  catalogue.replace(products)
  if (wasSynced || listsDiffer()) rereadLists()
  wasSynced = true
}

/** Whether a list that was read holds other products than the shop has sent. */
function listsDiffer(): boolean {
  const lists = queryClient.getQueriesData<Listing>({ queryKey: ['listing'] })
  return lists.some(([key, list]) => {
    if (!list) return false
    const isOfAll = !/(^|&)(search|category|brand|minPrice|maxPrice|inStock)=/.test(String(key[1]))
    return list.ids.some((id) => !catalogue.get(id)) || (isOfAll && list.total !== null && list.total !== catalogue.size)
  })
}

function takeProduct(product: Product | null, said: { change?: unknown; traceparent?: unknown }): void {
  if (!product) return
  tracing()?.repaintProduct(said.traceparent, product.productId)
  const change = readChange(said.change, product)
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
  if (status) {
    queryClient.setQueryData(statusQuery.queryKey, noticed(status))
    traceWhen(status.browserTracing)
  }
  if (!reload) return
  catalogue.doubt()
  void queryClient.invalidateQueries()
}

function rereadLists(): void {
  clearTimeout(reread)
  reread = setTimeout(() => {
    for (const queryKey of [['listing'], ['facets'], ['front']]) void queryClient.invalidateQueries({ queryKey })
  }, REREAD_AFTER_MS)
}
