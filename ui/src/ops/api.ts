import { keepPreviousData, QueryClient, useMutation, useQuery, type UseMutationResult, type UseQueryResult } from '@tanstack/react-query'

import { readProblem, Refused, Unanswered } from '../api/http'
import { useObservable } from '../lib/observable'
import { storage } from '../lib/storage'
import { answered, goneSince, shownProcess, unanswered } from './presence'
import { token, tokenWanted } from './token'

export { Refused, Unanswered }

export type Ask = { method?: 'GET' | 'POST' | 'DELETE' | 'PUT'; body?: unknown; headers?: Record<string, string>; signal?: AbortSignal | undefined; timeoutMs?: number }

/** Who changes something, as the audit line names it. */
const NAME_KEY = 'kartshoppe.operator.name'
export const operatorName = () => storage.get(NAME_KEY) ?? 'console'
export const setOperatorName = (name: string) => (name.trim() === '' ? storage.remove(NAME_KEY) : storage.set(NAME_KEY, name.trim()))

/** Headers of every call: the token if there is one, and who asks where something is changed. A header holds ASCII only. */
export function headersFor(method: string, hasBody = false): Record<string, string> {
  const held = token()
  return {
    ...(held === null ? {} : { authorization: `Bearer ${held}` }),
    ...(method === 'GET' ? {} : { 'x-kartshoppe-operator': operatorName().replace(/[^\x20-\x7e]/g, '?') }),
    ...(hasBody ? { 'content-type': 'application/json' } : {}),
  }
}

/** An answer of the operators' listener with its body unread. Throws `Refused`, `Unanswered`, or an `AbortError` if `signal` fired. */
export async function askRaw(path: string, { method = 'GET', body, headers, signal, timeoutMs = 30_000 }: Ask = {}): Promise<Response> {
  const limit = AbortSignal.timeout(timeoutMs)
  try {
    const response = await fetch(path, {
      method,
      headers: { accept: 'application/json', ...headers, ...headersFor(method, body !== undefined) },
      signal: signal ? AbortSignal.any([signal, limit]) : limit,
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    })
    answered()
    if (response.status === 401) tokenWanted.set(true)
    if (!response.ok) throw new Refused(await readProblem(response))
    return response
  } catch (error) {
    if (error instanceof Refused || signal?.aborted) throw error
    unanswered()
    throw new Unanswered(limit.aborted ? 'The server took too long to answer.' : 'The server could not be reached.', { cause: error })
  }
}

/** The same with its JSON read. Whole numbers beyond 2^53 lose digits: take `askText` where they are shown. */
export async function ask<T>(path: string, how: Ask = {}): Promise<T> {
  return (await (await askRaw(path, how)).json()) as T
}

/** The same as the bytes have it. */
export async function askText(path: string, how: Ask = {}): Promise<string> {
  return (await askRaw(path, how)).text()
}

/** What a failed call says, for people: the problem's own words and its fields. */
export function failureText(error: unknown): string {
  if (error instanceof Refused) {
    const fields = (error.problem as { errors?: { field: string; message: string }[] }).errors ?? []
    return fields.length > 0 ? fields.map(({ field, message }) => `${field}: ${message}`).join('; ') : error.message
  }
  return error instanceof Error ? error.message : String(error)
}

export const queryClient = new QueryClient({
  defaultOptions: {
    // The next poll is the retry. Polls rest while the tab is hidden, and begin again at once when it is looked at.
    queries: { retry: false, networkMode: 'always', refetchOnWindowFocus: 'always', staleTime: 0 },
    mutations: { networkMode: 'always' },
  },
})

/**
 * Reads a path of the operators' listener, and again every `everyMs` (0: once) while the tab is visible. What was read last stays
 * shown while the server is gone; it is read again when it is back.
 */
export function usePoll<T>(path: string, everyMs = 3_000, enabled = true): UseQueryResult<T, Error> {
  return useQuery<T, Error>({
    queryKey: ['admin', path],
    queryFn: ({ signal }) => ask<T>(path, { signal }),
    refetchInterval: everyMs === 0 ? false : everyMs,
    placeholderData: keepPreviousData,
    enabled,
  })
}

/** Changes something; afterwards everything that is shown is read again. `mutate` takes the call. */
export function useWrite<T = unknown>(): UseMutationResult<T, Error, { path: string } & Ask> {
  return useMutation({
    mutationFn: ({ path, ...how }) => ask<T>(path, { method: 'POST', ...how }),
    onSettled: () => void queryClient.invalidateQueries({ queryKey: ['admin'] }),
  })
}

/** Why nothing can be changed now; null if it can. */
export function useReadOnly(): string | null {
  const process = useObservable(shownProcess)
  const gone = useObservable(goneSince)
  if (gone !== null) return 'The server does not answer.'
  return process === null || process.writes.allowed ? null : (process.writes.reason ?? 'Nothing may be changed here.')
}
