import { LOCALE } from './locale'

const dollars = new Intl.NumberFormat(LOCALE, { style: 'currency', currency: 'USD' })

/** An amount in dollars as the shop writes it: `$1,899.99`. Anything that is not a number is a dash, never `$NaN`. */
export function money(amount: number | null | undefined): string {
  return typeof amount === 'number' && Number.isFinite(amount) ? dollars.format(amount) : '–'
}

/** Whole cents, for comparing amounts: two prices are equal when their cents are. */
export function cents(amount: number): number {
  return Math.round(amount * 100)
}

/** How much cheaper `now` is than `was`, in whole percent, at least 1; 0 when it is not cheaper. */
export function percentOff(was: number, now: number): number {
  if (cents(now) >= cents(was) || was <= 0) return 0
  return Math.max(1, Math.round((1 - now / was) * 100))
}
