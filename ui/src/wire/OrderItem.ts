/** A line of an order. `allocated` and `shortfall` are absent or null until the inventory has answered. */
export type OrderItem = {
  productId: string
  productName: string
  price: number
  quantity: number
  subtotal: number
  imageUrl?: string | null
  allocated?: number | null
  shortfall?: number | null
}
