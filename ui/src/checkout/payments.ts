/** What the shop offers, by the API's names. Nothing is charged. */
export const PAYMENTS = { CREDIT_CARD: 'Card', PAYPAL: 'PayPal', BANK_TRANSFER: 'Bank transfer' } as const

/** A way to pay in words. Orders of other programs may name others, which are shown as they are. */
export function paymentName(method: string): string {
  return Object.entries(PAYMENTS).find(([known]) => known === method)?.[1] ?? method
}
