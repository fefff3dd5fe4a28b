import type { Product } from './Product'
import type { ProductChange } from './ProductChange'

/** Payload of a `PRODUCT_UPDATE` frame: one whole product, what changed, and the trace of the cause. */
export type ProductUpdate = Product & {
  change: ProductChange | null
  traceparent: string | null
}
