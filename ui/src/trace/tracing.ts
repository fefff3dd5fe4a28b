type Tracer = typeof import('./tracer')

let tracer: Tracer | undefined
let asked = false

/** Loads the tracer once the shop says that pages trace; a page that doesn't never loads it. */
export function traceWhen(wanted: boolean): void {
  if (!wanted || asked) return
  asked = true
  void import('./tracer').then((loaded) => (tracer = loaded)).catch(() => (asked = false))
}

/** The tracer, if this page traces. */
export function tracing(): Tracer | undefined {
  return tracer
}
