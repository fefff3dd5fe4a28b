import type { OrderItem } from './OrderItem'
import type { OrderStatus } from './OrderStatus'
import type { PaymentInfo } from './PaymentInfo'
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
  paymentInfo: PaymentInfo | null
  createdAt: number
  updatedAt: number
  timestamp: number
  /** Whether it reaches the inventory by change data capture. */
  useCdc: boolean
}
