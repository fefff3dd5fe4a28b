import { QueryClient, queryOptions } from '@tanstack/react-query'

import { newerCart } from '../cart/wishes'
import { catalogue } from '../live/catalogue'
import { readChange, readProduct, readProducts } from '../live/decode'
import { recall } from '../live/moves'
import { isSettled, newerOrder } from '../orders/order'
import { lowStock } from '../product/stock'
import type { Order, Product, Status } from '../wire'
import { Refused } from './http'
import { shop } from './shop'

/** Answers are pushed or reread on purpose; a refused call is not asked again, an unanswered one twice. */
export const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 30_000,
      refetchOnWindowFocus: false,
      networkMode: 'always',
      retry: (failures, error) => failures < 2 && !(error instanceof Refused && error.problem.status < 500),
      retryDelay: (failures) => 500 * 2 ** failures,
    },
    mutations: { networkMode: 'always' },
  },
})

/** What runs behind the page. Asked often while something is missing; heartbeats renew it meanwhile. */
export const statusQuery = queryOptions({
  queryKey: ['status'],
  queryFn: async ({ signal }) => noticed(await shop.status({ signal })),
  refetchInterval: ({ state }) => (state.data?.inventory === 'running' && state.data.catalog === 'live' ? 30_000 : 3_000),
})

/** Takes a status; when the catalogue came, went or was restored, what was read of it before is out of date. */
export function noticed(status: Status): Status {
  const before = queryClient.getQueryData<Status>(['status'])
  if (Number.isFinite(status.lowStock)) lowStock.set(status.lowStock)
  if (before && before.catalog !== status.catalog) {
    for (const queryKey of [['listing'], ['facets'], ['front'], ['product'], ['history']]) void queryClient.invalidateQueries({ queryKey })
  }
  return status
}

/** One page of a list: ids in the shop's order, and how many products the whole list has, if the shop says so. */
export type Listing = { ids: readonly string[]; total: number | null }

/** A page of a list by its query; the products themselves go to the catalogue. */
export function listingQuery(query: string) {
  return queryOptions({
    queryKey: ['listing', query],
    queryFn: async ({ signal }): Promise<Listing> => {
      const { products, total } = await shop.products(query, { signal })
      return { ids: taken(readProducts(products)), total }
    },
  })
}

function taken(products: readonly Product[]): string[] {
  for (const product of products) catalogue.take(product)
  return products.map((product) => product.productId)
}

/** Categories, brands and prices of a selection, with counts. */
export function facetsQuery(selection: string) {
  return queryOptions({ queryKey: ['facets', selection], queryFn: ({ signal }) => shop.facets(selection, { signal }) })
}

/**
 * What the front page shows above the shelves, as ids; its moves go to those that are pushed. Asked once: the shelves wait for it, and
 * are there without it when it fails.
 */
export const frontQuery = queryOptions({
  queryKey: ['front'],
  retry: false,
  queryFn: async ({ signal }) => {
    const { moves, drops, almostGone, trending } = await shop.front({ signal })
    const known = moves.flatMap(({ product: sent, change: said }) => {
      const product = readProduct(sent)
      const change = product && readChange(said, product)
      return product && change ? [{ product, change }] : []
    })
    recall(known, Date.now())
    return { drops: taken(readProducts(drops)), almostGone: taken(readProducts(almostGone)), trending: taken(readProducts(trending)) }
  },
})

/** One product, read once for a page that opens on it; afterwards the catalogue has it. */
export function productQuery(productId: string) {
  return queryOptions({
    queryKey: ['product', productId],
    queryFn: async ({ signal }) => {
      const product = readProduct(await shop.product(productId, { signal }))
      if (product) catalogue.take(product)
      return product !== null
    },
    staleTime: 0,
  })
}

/** Ids of products that go with one; the products themselves go to the catalogue. */
export function relatedQuery(productId: string) {
  return queryOptions({
    queryKey: ['related', productId],
    queryFn: async ({ signal }) => {
      const { products } = await shop.related(productId, { signal })
      const related = readProducts(products)
      for (const product of related) catalogue.take(product)
      return related.map((product) => product.productId)
    },
    staleTime: 300_000,
  })
}

/** Minutes of changes that a product page shows: as long as the server keeps them. */
export const HISTORY_MINUTES = 60

export function historyQuery(productId: string) {
  return queryOptions({
    queryKey: ['history', productId],
    queryFn: ({ signal }) => shop.history(productId, HISTORY_MINUTES, { signal }),
    staleTime: 0,
  })
}

export const cartQuery = queryOptions({
  queryKey: ['cart'],
  queryFn: async ({ signal }) => {
    const cart = await shop.cart({ signal })
    return newerCart(queryClient.getQueryData(['cart']), cart)
  },
})

export const ordersQuery = queryOptions({
  queryKey: ['orders'],
  queryFn: async ({ signal }) => (await shop.orders({ signal })).map(laterOrder),
  staleTime: 0,
})

/** What was pushed while the answer was on its way counts, if it is later: so it is looked up after the answer. */
function laterOrder(order: Order): Order {
  return newerOrder(queryClient.getQueryData(['order', order.orderId]), order)
}

/** One order; asked again while it is pending, in case its frame was missed. */
export function orderQuery(orderId: string) {
  return queryOptions({
    queryKey: ['order', orderId],
    queryFn: async ({ signal }) => laterOrder(await shop.order(orderId, { signal })),
    refetchInterval: ({ state }) => (state.data && !isSettled(state.data) ? 3_000 : false),
    staleTime: 0,
  })
}
