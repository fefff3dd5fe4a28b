export type CartItem = {
  productId: string
  productName: string
  price: number
  quantity: number
  subtotal: number
  imageUrl: string
  addedAt: number
}
