import type { CartItem } from './CartItem'
import type { Quote } from './Quote'

export type Cart = {
  cartId: string
  sessionId: string
  userId: string
  items: CartItem[]
  totalAmount: number
  createdAt: number
  updatedAt: number
  status: string
  quote: Quote
}
