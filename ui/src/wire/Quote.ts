/** The server's totals for a cart as it stands. */
export type Quote = {
  subtotal: number
  tax: number
  shipping: number
  totalAmount: number
}
