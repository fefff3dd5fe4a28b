/** A cart change sent over the socket. `quantity` is absolute for `UPDATE_QUANTITY`. */
export type CartUpdate = {
  type: 'CART_UPDATE'
  action: 'ADD' | 'REMOVE' | 'UPDATE_QUANTITY' | 'CLEAR'
  payload: { productId?: string; quantity?: number }
}
