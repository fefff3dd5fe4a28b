import type { ShippingAddress } from '../wire'

export type AddressField = { name: keyof ShippingAddress; label: string; autoComplete: string; wide: boolean }

export const ADDRESS_FIELDS: readonly AddressField[] = [
  { name: 'name', label: 'Full name', autoComplete: 'shipping name', wide: true },
  { name: 'street', label: 'Street and number', autoComplete: 'shipping street-address', wide: true },
  { name: 'city', label: 'City', autoComplete: 'shipping address-level2', wide: false },
  { name: 'state', label: 'State or region', autoComplete: 'shipping address-level1', wide: false },
  { name: 'zipCode', label: 'Postal code', autoComplete: 'shipping postal-code', wide: false },
  { name: 'country', label: 'Country', autoComplete: 'shipping country-name', wide: false },
]

/** Longest text of one field, in characters. */
export const LONGEST = 120

/** The form's address, with blanks trimmed. */
export function readAddress(form: FormData): ShippingAddress {
  const text = (name: keyof ShippingAddress) => {
    const value = form.get(name)
    return typeof value === 'string' ? value.trim() : ''
  }
  return { name: text('name'), street: text('street'), city: text('city'), state: text('state'), zipCode: text('zipCode'), country: text('country') }
}

/** What is missing, field by field. Not everyone lives in a state. */
export function problemsOf(address: ShippingAddress): Partial<Record<keyof ShippingAddress, string>> {
  const missing = ADDRESS_FIELDS.filter(({ name }) => name !== 'state' && address[name] === '')
  return Object.fromEntries(missing.map(({ name, label }) => [name, `${label} is missing`]))
}
