import type { ShippingAddress } from './ShippingAddress'

export type CheckoutRequest = {
  sessionId: string
  userId?: string
  shippingAddress?: ShippingAddress
  paymentMethod?: string
  useCdc?: boolean
  expectedTotal?: number
}
