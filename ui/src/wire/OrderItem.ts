/** A line of an order. `allocated` and `shortfall` are null until the inventory has answered. */
export type OrderItem = {
  orderItemId: string
  productId: string
  productName: string
  price: number
  quantity: number
  subtotal: number
  imageUrl: string
  allocated: number | null
  shortfall: number | null
}
