/** `GET /admin/workshop`. */
export type Stand = 'new' | 'begun' | 'done'
export type Row = { place: string; title: string; passed: number; checks: number; state: Stand; minutes?: number }

/** `GET /admin/workshop/{place}`. */
export type Step = { kind: 'step'; name?: string; how: 'run' | 'background' | 'stop'; text: string }
export type Check = { kind: 'check'; name: string; question: string; passed: boolean; local: boolean }
export type Block = { kind: 'prose'; html: string } | { kind: 'notes'; html: string } | Step | Check
export type Chapter = { place: string; title: string; file: string; state: Stand; begunAtMs: number | null; blocks: Block[] }

/** `POST /admin/workshop/{place}/check`. */
export type Verdict = { name: string; kind: string; state: 'green' | 'red' | 'unchecked'; missing?: string; detail?: string }
export type Report = { place: string; title: string; done: boolean; checks: Verdict[] }

/** How a check stands: as it was found now, or else when it was checked last. */
export function standing(check: Check, report: Report | undefined): Verdict['state'] | 'unknown' {
  const found = report?.checks.find(({ name }) => name === check.name)
  if (found) return found.state === 'unchecked' && check.passed ? 'green' : found.state
  return check.passed ? 'green' : 'unknown'
}

/** What is said when a check has ended. */
export function summary(report: Report): string {
  const green = report.checks.filter(({ state }) => state === 'green').length
  const local = report.checks.filter(({ state }) => state === 'unchecked').length
  const rest = local === 0 ? '' : ` ${local} ${local === 1 ? 'needs' : 'need'} your machine: run kartshoppe workshop check ${report.place}.`
  return `${green} of ${report.checks.length} checks are green.${rest}`
}
