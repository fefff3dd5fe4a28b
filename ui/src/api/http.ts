import type { Problem } from '../wire'

/** The server answered with an error and said why. */
export class Refused extends Error {
  constructor(readonly problem: Problem) {
    super(problem.detail ?? problem.title)
    this.name = 'Refused'
  }
}

/** No usable answer: the network failed, the time ran out, or the answer broke off. What the server did is unknown. */
export class Unanswered extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'Unanswered'
  }
}

export type Call = {
  method?: 'GET' | 'POST' | 'PUT' | 'DELETE'
  body?: unknown
  headers?: Record<string, string>
  /** The span of the click that asks for it. */
  span?: { traceparent: string; end: (failed: boolean) => void } | undefined
  signal?: AbortSignal | undefined
  timeoutMs?: number
}

/** One call of the shop's API. Throws `Refused`, `Unanswered`, or an `AbortError` if `signal` fired. */
export async function call<T>(path: string, how: Call = {}): Promise<T> {
  return (await callWithHeaders<T>(path, how)).body
}

/** The same for who needs the answer's headers too. */
export async function callWithHeaders<T>(path: string, { method = 'GET', body, headers, span, signal, timeoutMs = 15_000 }: Call = {}): Promise<{ body: T; headers: Headers }> {
  const limit = AbortSignal.timeout(timeoutMs)
  const init: RequestInit = {
    method,
    headers: { accept: 'application/json', ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...(span && { traceparent: span.traceparent }), ...headers },
    signal: signal ? AbortSignal.any([signal, limit]) : limit,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  }
  try {
    const response = await fetch(`/api/ecommerce${path}`, init)
    if (!response.ok) throw new Refused(await readProblem(response))
    const answer = { body: (await response.json()) as T, headers: response.headers }
    span?.end(false)
    return answer
  } catch (error) {
    span?.end(true)
    if (error instanceof Refused || signal?.aborted) throw error
    throw new Unanswered(limit.aborted ? 'The shop took too long to answer.' : 'The shop could not be reached.', { cause: error })
  }
}

/** The problem in an error answer, or one made from the bare status when the body is something else (a proxy's page). */
export async function readProblem(response: Response): Promise<Problem> {
  const fallback: Problem = { type: 'about:blank', title: response.statusText || `Error ${response.status}`, status: response.status, code: `http_${response.status}` }
  try {
    const body: unknown = await response.json()
    return typeof body === 'object' && body !== null ? { ...fallback, ...body, status: response.status } : fallback
  } catch {
    return fallback
  }
}
