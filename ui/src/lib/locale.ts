/** The one locale of every number, amount, date and time on the page. */
export const LOCALE = 'en-US'

const whole = new Intl.NumberFormat(LOCALE)

/** From here on a bound is written shortly. */
const LONG = 100_000

/** The bounds of a range as whole numbers that fit a narrow field and leave nothing of it out: `5` and `99,999`, or `120K` and `100M`. */
export function bounds(from: number, to: number): [from: string, to: string] {
  const [first, last] = [Math.floor(from), Math.ceil(to)]
  return [first < LONG ? count(first) : short(first, 'floor'), last < LONG ? count(last) : short(last, 'ceil')]
}

/** Seldom needed, and slow to make: not made with the page. */
function short(amount: number, roundingMode: 'floor' | 'ceil'): string {
  return new Intl.NumberFormat(LOCALE, { notation: 'compact', maximumFractionDigits: 1, roundingMode }).format(amount)
}

/** A whole number with thousands separators: `1,000,000`. */
export function count(units: number): string {
  return whole.format(units)
}
