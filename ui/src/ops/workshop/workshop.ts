/** `GET /admin/workshop`. */
export type Stand = 'new' | 'begun' | 'done'
export type Row = { place: string; title: string; passed: number; checks: number; state: Stand; minutes?: number }

/** `GET /admin/workshop/{place}`. */
export type Step = { kind: 'step'; name?: string; how: 'run' | 'refused' | 'background' | 'stop'; text: string }
export type Check = { kind: 'check'; name: string; question: string; passed: boolean; local: boolean; always: boolean }
export type Hint = { kind: 'hint'; number: number; html: string }
export type Block = { kind: 'prose'; html: string } | { kind: 'notes'; html: string } | Hint | Step | Check
export type Chapter = { place: string; title: string; file: string; state: Stand; begunAtMs: number | null; blocks: Block[] }

/** `POST /admin/workshop/{place}/check`. */
export type Verdict = { name: string; kind: string; state: 'green' | 'red' | 'unchecked'; missing?: string; detail?: string }
export type Report = { place: string; title: string; done: boolean; checks: Verdict[] }

/** A piece of a chapter's text: HTML, or what can be typed. */
export type Part = { html: string } | { typed: string }

const TYPED = /<pre[^>]*><code class="language-sh">([\s\S]*?)<\/code><\/pre>\n?/

/** The text with its commands apart. The server writes five entities in them, and no tags. */
export function partsOf(html: string): Part[] {
  return html
    .split(TYPED)
    .map((text, index): Part => (index % 2 === 0 ? { html: text } : { typed: plain(text).trimEnd() }))
    .filter((part) => 'typed' in part || part.html.trim() !== '')
}

/** The addresses of a text's pictures, as the server writes them. */
export const picturesOf = (html: string): string[] => [...html.matchAll(/<img [^>]*?src="([^"]+)"/g)].flatMap(([, address]) => address ?? [])

const plain = (html: string) => html.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&quot;', '"').replaceAll('&#39;', "'").replaceAll('&amp;', '&')

/** Exercises change the sources of a clone, so only the command line begins and checks them. */
export const isExercise = (place: string) => place.startsWith('E')

/** Texts beside chapters and exercises, by their place: what their link says. */
export const TEXTS = { exercises: 'How exercises work', troubleshooting: 'Troubleshooting', agenda: 'For instructors' } as const
export type TextPlace = keyof typeof TEXTS
export const isText = (place: string | undefined): place is TextPlace => place !== undefined && Object.hasOwn(TEXTS, place)

/** How a check stands: as it was found now, or else when it was checked last. */
export function standing(check: Check, report: Report | undefined): Verdict['state'] | 'unknown' {
  const found = report?.checks.find(({ name }) => name === check.name)
  if (found) return found.state === 'unchecked' && check.passed ? 'green' : found.state
  return check.passed ? 'green' : 'unknown'
}

/** What is said when a check has ended. `checks`: as they stood before, when the command line may have made those that the server cannot. */
export function summary(report: Report, checks: readonly Check[]): string {
  const isGreen = ({ name, state }: Verdict) => state === 'green' || (state === 'unchecked' && checks.some((check) => check.name === name && check.passed))
  const green = report.checks.filter(isGreen).length
  const local = report.checks.filter((verdict) => verdict.state === 'unchecked' && !isGreen(verdict)).length
  const rest = local === 0 ? '' : ` ${local} ${local === 1 ? 'needs' : 'need'} your machine: run kartshoppe workshop check ${report.place}.`
  return `${green} of ${report.checks.length} checks are green.${rest}`
}
