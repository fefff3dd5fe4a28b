import { announce } from './announcer'
import { Observable } from './observable'

export type Toast = { id: number; text: string; link?: { href: string; label: string } | undefined }

/** How long a toast stays, in milliseconds: long enough to read a line twice. */
const STAYS_MS = 6_000
const AT_MOST = 3

/** Toasts on screen, oldest first. They are silent: the live region speaks the same text. */
export const toasts = new Observable<readonly Toast[]>([])
let lastId = 0

export function toast(text: string, link?: Toast['link']): void {
  const id = ++lastId
  toasts.set([...toasts.get(), { id, text, link }].slice(-AT_MOST))
  announce(text)
  setTimeout(() => dismiss(id), STAYS_MS)
}

export function dismiss(id: number): void {
  toasts.set(toasts.get().filter((shown) => shown.id !== id))
}

/** The shopper looks at what the toasts are about. */
export function dismissAll(): void {
  toasts.set([])
}
