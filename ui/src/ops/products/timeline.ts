/** `GET /admin/products/{id}/timeline`. */
export type Timeline = {
  productId: string
  at: number | null
  state: { name: string | null; stock: number; price: number | null; time: number } | null
  revision: Revision | null
  cause: Cause | null
  proof: 'event' | 'next' | 'absent' | 'none' | 'pending' | 'given'
  changes: Change[]
  since: { time: number | null; offset: number } | null
  cursor: string | null
}
export type Revision = { life: number; version: number }
export type Change = { offset: number; time: number; eventType: string; reason: string; revision: Revision | null; stockBefore: number | null; stockAfter: number | null; priceBefore: number | null; priceAfter: number | null; cause: Cause }
export type Cause = { kind: string; text?: string; topic?: string; partition?: number; offset?: number; orderId?: string; quantity?: number; allocated?: number; traceId?: string }

/** A moment as people write it: milliseconds, a date, or a time of the day, which is the last one that has been. NaN if it is none. */
export function momentOf(text: string, now = Date.now()): number {
  if (/^-?\d+$/.test(text)) return Number(text)
  const [, hour, minute, second = '0'] = /^(\d{1,2}):(\d{2})(?::(\d{2}(?:\.\d{1,3})?))?$/.exec(text) ?? []
  if (hour === undefined || minute === undefined) return Date.parse(text)
  if (Number(hour) > 23 || Number(minute) > 59 || Number(second) >= 60) return Number.NaN
  const at = new Date(now)
  at.setHours(Number(hour), Number(minute), Math.trunc(Number(second)), Math.round((Number(second) % 1) * 1_000))
  if (at.getTime() > now) at.setDate(at.getDate() - 1)
  return at.getTime()
}

/** As addresses and forms write a moment; empty for none. */
export const isoOf = (at: number) => (Number.isFinite(at) && Math.abs(at) <= 8.64e15 ? new Date(at).toISOString() : '')

export type Series = 'stock' | 'price'
/** A point of a course: a place from 0 to 1, and the value from there on. */
export type Point = [place: number, value: number]

/**
 * The course of a series, oldest first. The order is that of the changes and never that of their times, which step back with the clock:
 * such a change stands where the one before it stands.
 */
export function courseOf(changes: readonly Change[], series: Series): Point[] {
  const value = (change: Change) => (series === 'stock' ? change.stockAfter : change.priceAfter)
  const known = changes.filter((change) => change.revision !== null && value(change) !== null).toReversed()
  const [least, most] = span(changes)
  let last = least
  return known.map((change) => {
    last = Math.max(last, change.time)
    return [(last - least) / Math.max(1, most - least), value(change) ?? 0]
  })
}

/** The oldest and the newest time. */
export function span(changes: readonly Change[]): [number, number] {
  const times = changes.map(({ time }) => time)
  return [Math.min(...times), Math.max(...times)]
}
