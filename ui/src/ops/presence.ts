import { Observable } from '../lib/observable'

/** Whether something is allowed here, and if not, why. */
export type Allowed = { allowed: boolean; reason?: string }

/** `GET /admin/console`: the process that answers. */
export type Process = {
  instance: string
  version: string
  pid: number
  startedAtMs: number
  nowMs: number
  log: 'embedded' | 'kafka'
  shop: string
  tracing: boolean
  /** Where a trace is shown, with `{trace_id}` in it; null where there is none. */
  traceUrl?: string | null
  writes: Allowed
  faults: Allowed
  /** Consoles of the shop's other processes. */
  peers: string[]
}

/** Since when the server gives no answer, in epoch milliseconds; null while it answers. */
export const goneSince = new Observable<number | null>(null)

/** The process that answered last. */
export const shownProcess = new Observable<Process | null>(null)

/** When another process answered for the first time after one was gone. */
export const restartedAt = new Observable<number | null>(null)

export function answered(): void {
  goneSince.set(null)
}

export function unanswered(): void {
  if (goneSince.get() === null) goneSince.set(Date.now())
}

/** Takes what the server says about itself; gives true if it is another life of it than before. */
export function introduced(process: Process): boolean {
  const before = shownProcess.get()
  shownProcess.set(process)
  const isAnother = before !== null && (before.startedAtMs !== process.startedAtMs || before.pid !== process.pid)
  if (isAnother) restartedAt.set(process.startedAtMs)
  return isAnother
}
