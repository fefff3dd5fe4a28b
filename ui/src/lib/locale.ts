/** The one locale of every number, amount, date and time on the page. */
export const LOCALE = 'en-US'

const whole = new Intl.NumberFormat(LOCALE)

/** A whole number with thousands separators: `1,000,000`. */
export function count(units: number): string {
  return whole.format(units)
}
