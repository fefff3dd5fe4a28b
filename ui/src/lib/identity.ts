import { storage } from './storage'
import { uuid } from './uuid'

function once(key: string, prefix: string): string {
  const known = storage.get(key)
  if (known) return known
  const made = `${prefix}-${uuid()}`
  storage.set(key, made)
  return made
}

/** Who is shopping: made once for this browser, kept in local storage, at most 50 characters as the tables want. */
export const identity = {
  sessionId: once('kartshoppe.session', 'session'),
  userId: once('kartshoppe.user', 'user'),
}
