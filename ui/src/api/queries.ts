import { QueryClient, queryOptions } from '@tanstack/react-query'

import { newerCart } from '../cart/wishes'
import { readProducts, readProduct } from '../live/decode'
import { catalogue } from '../live/catalogue'
import { isSettled, newerOrder } from '../orders/order'
import type { Order, Status } from '../wire'
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
  if (before && before.catalog !== status.catalog) {
    for (const queryKey of [['listing'], ['categories'], ['product'], ['history']]) void queryClient.invalidateQueries({ queryKey })
  }
  return status
}

/** Ids of the products that a search gives, in its order; the products themselves go to the catalogue. */
export function listingQuery(search: string) {
  return queryOptions({
    queryKey: ['listing', search],
    queryFn: async ({ signal }) => {
      const products = readProducts(await shop.products(new URLSearchParams(search), { signal }))
      for (const product of products) catalogue.take(product)
      return products.map((product) => product.productId)
    },
  })
}

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

/** Categories of a catalogue that is too large to be pushed whole: those of its best-liked thousand. */
export const categoriesQuery = queryOptions({
  queryKey: ['categories'],
  queryFn: async ({ signal }) => {
    const products = readProducts(await shop.products(new URLSearchParams({ limit: '1000' }), { signal }))
    return [...new Set(products.map((product) => product.category).filter(Boolean))].toSorted((a, b) => a.localeCompare(b))
  },
  staleTime: 300_000,
})
