/** First wait and longest wait between two tries to connect, in milliseconds. */
const FIRST_MS = 500
const LONGEST_MS = 15_000

/**
 * How long to wait before try number `tries` (from 0), in milliseconds: doubling up to the longest, and a random
 * half of it taken off, so that the pages of a restarted server don't come back at once. `random` lies in [0, 1).
 */
export function backoffMs(tries: number, random: number): number {
  const full = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(tries, 16))
  return Math.round(full * (1 - random / 2))
}
