import { LOCALE } from './locale'
import { once } from './once'

// Slow to make, and the first screen shows none of them.
const clock = once(() => new Intl.DateTimeFormat(LOCALE, { timeStyle: 'medium' }))
const precise = once(() => new Intl.DateTimeFormat(LOCALE, { hour: 'numeric', minute: '2-digit', second: '2-digit', fractionalSecondDigits: 3 }))
const day = once(() => new Intl.DateTimeFormat(LOCALE, { dateStyle: 'medium', timeStyle: 'short' }))

/** Time of day, `2:03:09 PM`. `at` is in epoch milliseconds. */
export function timeOfDay(at: number): string {
  return clock().format(at)
}

/** Time of day to the millisecond, `2:03:09.042 PM`. `at` is in epoch milliseconds. */
export function preciseTime(at: number): string {
  return precise().format(at)
}

/** Date and time, `Nov 22, 2026, 2:03 PM`. `at` is in epoch milliseconds. */
export function dateAndTime(at: number): string {
  return day().format(at)
}

/** How long ago, roughly: `just now`, `12 s ago`, `3 min ago`, `2 h ago`. */
export function ago(at: number, now: number): string {
  const seconds = Math.max(0, Math.round((now - at) / 1000))
  if (seconds < 5) return 'just now'
  if (seconds < 60) return `${seconds} s ago`
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`
  return `${Math.floor(seconds / 3600)} h ago`
}
