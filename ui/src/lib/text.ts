/** `text` as a sentence: ends with a full stop unless it ends one already. */
export function sentence(text: string): string {
  const trimmed = text.trim()
  return /[.!?…]$/.test(trimmed) || trimmed === '' ? trimmed : `${trimmed}.`
}
