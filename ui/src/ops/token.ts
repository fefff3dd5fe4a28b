import { Observable } from '../lib/observable'

const KEY = 'kartshoppe.operator.token'

/** Whether the server refused us for want of a token. */
export const tokenWanted = new Observable(false)

/** The token where the tab's storage cannot be used. */
let held: string | null = null

/** The operators' token of this tab. It comes in the fragment of the printed address (`#token=…`), which browsers send to no server. */
export function token(): string | null {
  try {
    return sessionStorage.getItem(KEY) ?? held
  } catch {
    return held
  }
}

export function keepToken(value: string): void {
  held = value.trim()
  try {
    sessionStorage.setItem(KEY, held)
  } catch {
    // Storage is refused: the token is asked for after each reload.
  }
  tokenWanted.set(false)
}

/** Takes the token out of the address, so that no history, bookmark or shared link has it. Returns whether there was one. */
export function takeToken(): boolean {
  const given = new URLSearchParams(location.hash.slice(1)).get('token')
  if (given === null) return false
  keepToken(given)
  history.replaceState(history.state, '', location.pathname + location.search)
  return true
}
