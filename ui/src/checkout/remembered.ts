import { storage } from '../lib/storage'
import type { ShippingAddress } from '../wire'
import { ADDRESS_FIELDS, LONGEST, NO_ADDRESS } from './address'
import { PAYMENTS } from './payments'

const KEPT = 'kartshoppe.delivery'

/** What the shopper typed at checkout, kept in this browser for a reload and the next order. */
export type Delivery = { readonly address: ShippingAddress; readonly paymentMethod: string }

export function rememberDelivery(delivery: Delivery): void {
  storage.set(KEPT, JSON.stringify(delivery))
}

export function rememberedDelivery(): Delivery {
  return readDelivery(storage.get(KEPT))
}

const text = (value: unknown) => (typeof value === 'string' ? value.slice(0, LONGEST) : '')

/** What was kept, field by field: anything else that lies there counts as nothing. */
export function readDelivery(kept: string | null): Delivery {
  const nothing = { address: NO_ADDRESS, paymentMethod: Object.keys(PAYMENTS)[0] ?? '' }
  if (kept === null) return nothing
  try {
    const read = JSON.parse(kept) as { address?: Partial<Record<string, unknown>>; paymentMethod?: unknown } | null
    const fields = ADDRESS_FIELDS.map(({ name }) => [name, text(read?.address?.[name])] as const)
    const paymentMethod = text(read?.paymentMethod)
    return { address: { ...NO_ADDRESS, ...Object.fromEntries(fields) }, paymentMethod: Object.hasOwn(PAYMENTS, paymentMethod) ? paymentMethod : nothing.paymentMethod }
  } catch {
    return nothing
  }
}
