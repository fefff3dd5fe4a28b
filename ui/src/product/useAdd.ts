import { addToCart, useAdding } from '../cart/cart'
import type { AddedProduct } from '../cart/wishes'

/**
 * Adds units of a product. No click is lost: `adding` counts the units on their way, and the button that adds more stays enabled meanwhile
 * (one that is disabled under the keyboard loses the focus).
 */
export function useAdd(product: AddedProduct): { add: (quantity: number) => void; adding: number } {
  return { add: (quantity) => void addToCart(product, quantity), adding: useAdding(product.productId) }
}
