import { Observable } from '../lib/observable'

const KEY = 'kartshoppe.operator.token'

/** Whether the server refused us for want of a token. */
export const tokenWanted = new Observable(false)

/** The operators' token of this tab. It comes in the fragment of the printed address (`#token=…`), which browsers send to no server. */
export function token(): string | null {
  try {
    return sessionStorage.getItem(KEY)
  } catch {
    return null
  }
}

export function keepToken(value: string): void {
  try {
    sessionStorage.setItem(KEY, value.trim())
  } catch {
    // Storage is refused: the token is asked for after each reload.
  }
  tokenWanted.set(false)
}

/** Takes the token out of the address, so that no history, bookmark or shared link has it. */
export function takeToken(): void {
  const given = new URLSearchParams(location.hash.slice(1)).get('token')
  if (given === null) return
  keepToken(given)
  history.replaceState(history.state, '', location.pathname + location.search)
}
