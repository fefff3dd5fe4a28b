import type { Cart } from './Cart'

/** RFC 9457 problem with a stable `code`, and the trace that explains it. */
export type Problem = {
  type: string
  title: string
  status: number
  detail?: string
  code: string
  traceId?: string
  /** With `total_changed`: the cart as it stands now. */
  cart?: Cart
  /** With `product_gone`: the product that was removed. */
  productId?: string
}
