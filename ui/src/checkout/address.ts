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

export const NO_ADDRESS: ShippingAddress = { name: '', street: '', city: '', state: '', zipCode: '', country: '' }

/** The form's address, with blanks trimmed. */
export function readAddress(form: FormData): ShippingAddress {
  const text = (name: keyof ShippingAddress) => {
    const value = form.get(name)
    return typeof value === 'string' ? value.trim().replace(/\s+/g, ' ') : ''
  }
  return { name: text('name'), street: text('street'), city: text('city'), state: text('state'), zipCode: text('zipCode'), country: text('country') }
}

type Problems = Partial<Record<keyof ShippingAddress, string>>

/** What is missing or can't be an address, field by field. Not everyone lives in a state, and scripts, postal codes and names are many. */
export function problemsOf(address: ShippingAddress): Problems {
  const found = ADDRESS_FIELDS.map(({ name, label }) => [name, problemOf(name, label, address[name])] as const)
  return Object.fromEntries(found.filter(([, problem]) => problem !== null))
}

function problemOf(name: keyof ShippingAddress, label: string, text: string): string | null {
  if (text === '') return name === 'state' ? null : `${label} is missing`
  if (/[\p{Cc}\p{Co}\p{Cn}\u202A-\u202E\u2066-\u2069]/u.test(text)) return `${label} has a character that can’t be printed`
  if (text.length > LONGEST) return `${label} is longer than ${LONGEST} characters`
  if (/^(.)\1{4,}$/u.test(text.replaceAll(' ', ''))) return `${label} does not look right: it repeats one character`
  if (name === 'zipCode') return /^(?=.*[\p{L}\p{N}])[\p{L}\p{N} .-]{2,16}$/u.test(text) ? null : 'Postal code must be 2 to 16 letters and digits, such as 3511 AB'
  if (!/\p{L}/u.test(text)) return `${label} must contain letters`
  if (name === 'country' || name === 'city') return /\p{N}/u.test(text) && name === 'country' ? 'Country must be a name without digits' : null
  return null
}
