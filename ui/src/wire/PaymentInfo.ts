/** How an order is paid. */
export type PaymentInfo = { paymentMethod: string }
