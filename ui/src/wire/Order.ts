import type { OrderItem } from './OrderItem'
import type { OrderStatus } from './OrderStatus'
import type { ShippingAddress } from './ShippingAddress'

export type Order = {
  orderId: string
  userId: string
  sessionId: string
  items: OrderItem[]
  subtotal: number
  tax: number
  shipping: number
  totalAmount: number
  status: OrderStatus
  shippingAddress: ShippingAddress | null
  createdAt: number
  updatedAt: number
  timestamp: number
  /** Whether checkout asked for change data capture; absent where the server does not say. */
  useCdc?: boolean | null
}
