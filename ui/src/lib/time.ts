const clock = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' })
const day = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', year: 'numeric', hour: '2-digit', minute: '2-digit' })

/** Time of day, `14:03:09`. `at` is in epoch milliseconds. */
export function timeOfDay(at: number): string {
  return clock.format(at)
}

/** Date and time, `22 Nov 2026, 14:03`. `at` is in epoch milliseconds. */
export function dateAndTime(at: number): string {
  return day.format(at)
}

/** How long ago, roughly: `just now`, `12 s ago`, `3 min ago`, `2 h ago`. */
export function ago(at: number, now: number): string {
  const seconds = Math.max(0, Math.round((now - at) / 1000))
  if (seconds < 5) return 'just now'
  if (seconds < 60) return `${seconds} s ago`
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`
  return `${Math.floor(seconds / 3600)} h ago`
}
