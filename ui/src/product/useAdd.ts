import { useMutation } from '@tanstack/react-query'

import { addToCart } from '../cart/cart'
import { toast } from '../lib/toasts'
import type { Product } from '../wire'

/** Adds units of a product with one call; says so when the shop refuses. */
export function useAdd(product: Pick<Product, 'productId' | 'name'>) {
  return useMutation({
    mutationFn: (quantity: number) => addToCart(product.productId, product.name, quantity),
    onError: (error) => toast(`${product.name} was not added: ${error.message}`),
  })
}
