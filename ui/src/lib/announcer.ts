import { Observable } from './observable'

/** What the page's one live region says. The number makes a repeated text a new one. */
export const announcement = new Observable<{ text: string; turn: number }>({ text: '', turn: 0 })

/** Announces to screen readers, politely. */
export function announce(text: string): void {
  announcement.set({ text, turn: announcement.get().turn + 1 })
}
