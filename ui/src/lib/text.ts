/** `text` as a sentence: begins with a capital letter and ends with a full stop unless it ends one already. */
export function sentence(text: string): string {
  const trimmed = text.trim()
  const begun = trimmed.charAt(0).toUpperCase() + trimmed.slice(1)
  return /[.!?…]$/.test(begun) || begun === '' ? begun : `${begun}.`
}

/** Characters that turn the direction of what follows them, and those that no font draws (controls, non-characters). */
const INVISIBLE = /[\u202A-\u202E\u2066-\u2069\uFFFE\uFFFF]|(?!\s)\p{Cc}/gu
/** More marks than these on one letter are no writing; they would cover the lines above and below. */
const PILED_MARKS = /(\p{M}{4})\p{M}+/gu
const RIGHT_TO_LEFT = /[\u0590-\u08FF\uFB1D-\uFDFF\uFE70-\uFEFC\u{10800}-\u{10FFF}\u{1E800}-\u{1EFFF}]/u

/** Words of others as they may be shown: nothing in them changes the order or the place of the words around them. */
export function plain(text: string): string {
  return text.replace(INVISIBLE, '').replace(PILED_MARKS, '$1')
}

/** The name of a product, which may be anything that the inventory accepted. */
export function nameOf(name: string): string {
  return plain(name).trim() || 'Unnamed product'
}

/** A name inside a sentence without markup (a note, a label): kept apart by isolates where it is written from right to left. */
export function inText(name: string): string {
  const shown = nameOf(name)
  return RIGHT_TO_LEFT.test(shown) ? `\u2068${shown}\u2069` : shown
}
