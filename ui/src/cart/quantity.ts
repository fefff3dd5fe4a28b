/** A typed quantity, taken to the nearest that is allowed; null if it is no number. */
export function readQuantity(text: string, least: number, most: number): number | null {
  const digits = text.replace(/[\s,.'_]/g, '')
  return /^\d+$/.test(digits) ? Math.min(most, Math.max(least, Number(digits))) : null
}
