import { useMutation } from '@tanstack/react-query'

import { addToCart } from '../cart/cart'
import { toast } from '../lib/toasts'
import type { Product } from '../wire'

/**
 * Adds units of a product with one call, and does nothing while an earlier one has no answer; says so when the shop refuses.
 * The button that calls it stays enabled meanwhile: one that is disabled under the keyboard loses the focus.
 */
export function useAdd(product: Pick<Product, 'productId' | 'name'>) {
  const { isPending, mutate } = useMutation({
    mutationFn: (quantity: number) => addToCart(product.productId, product.name, quantity),
    onError: (error) => toast(`${product.name} was not added: ${error.message}`),
  })
  return (quantity: number, onSuccess: () => void = () => undefined) => {
    if (!isPending) mutate(quantity, { onSuccess })
  }
}
