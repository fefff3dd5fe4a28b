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
export type Cause = { kind: string; text?: string; topic?: string; partition?: number; offset?: number; orderId?: string; quantity?: number; allocated?: number; traceId?: string; record?: { value: unknown } }

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
