import { announce } from './announcer'
import { Observable } from './observable'

export type Toast = { id: number; text: string; link?: { href: string; label: string } | undefined }

/** How long a toast stays, in milliseconds: long enough to read a line twice. */
const STAYS_MS = 6_000
const AT_MOST = 3

/** Toasts on screen, oldest first. They are silent: the live region speaks the same text. */
export const toasts = new Observable<readonly Toast[]>([])
let lastId = 0
let held = false
/** Toasts whose time ran out while the shopper was at them. */
const overdue = new Set<number>()

export function toast(text: string, link?: Toast['link']): void {
  const id = ++lastId
  const shown = [...toasts.get(), { id, text, link }]
  toasts.set(held ? shown : shown.slice(-AT_MOST))
  announce(text)
  setTimeout(() => (held ? overdue.add(id) : dismiss(id)), STAYS_MS)
}

export function dismiss(id: number): void {
  overdue.delete(id)
  toasts.set(toasts.get().filter((shown) => shown.id !== id))
}

/** The shopper looks at what the toasts are about. */
export function dismissAll(): void {
  overdue.clear()
  toasts.set([])
}

/** Nothing goes away under the shopper's focus or pointer; what is overdue goes when both have left. */
export function holdToasts(hold: boolean): void {
  held = hold
  if (hold) return
  for (const id of overdue) dismiss(id)
  toasts.set(toasts.get().slice(-AT_MOST))
}
