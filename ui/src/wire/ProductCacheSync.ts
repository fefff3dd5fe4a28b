import type { Product } from './Product'

/** Payload of a `PRODUCT_CACHE_SYNC` frame: the whole catalogue. */
export type ProductCacheSync = { products: Product[] }
