import { noticed, queryClient, statusQuery } from '../api/queries'
import { shop } from '../api/shop'
import { Observable } from '../lib/observable'
import type { Connection } from './feed'

/** How often a page without a socket reads by REST what the socket would have pushed, in milliseconds. */
export const REREAD_EVERY_MS = 4_000
/** A first connection that takes longer than this counts as none, in milliseconds. */
const PATIENCE_MS = 4_000
/** What is read again, where the page shows it. */
const READ: ReadonlySet<unknown> = new Set(['listing', 'product', 'history', 'cart', 'order', 'orders', 'related', 'front', 'facets'])

/** When the page last read by REST what the socket would have pushed, in epoch milliseconds; 0 = by socket, or not at all. */
export const rereadAt = new Observable(0)

/** Whether the page has to read by itself what is not pushed. */
export function needsReading({ phase, since }: Connection, now: number): boolean {
  if (phase === 'connecting') return now - since > PATIENCE_MS
  return phase === 'stale' || phase === 'offline'
}

/** Keeps a page without a socket current by REST, while it is in front. Proxies and company networks let HTTP through where they block sockets. */
export function rereadWithout(connection: Observable<Connection>): void {
  let reading = false
  connection.subscribe(() => connection.get().phase === 'live' && rereadAt.set(0))
  setInterval(() => {
    if (reading || document.hidden || !needsReading(connection.get(), Date.now())) return
    reading = true
    void readAgain(connection).finally(() => {
      reading = false
    })
  }, REREAD_EVERY_MS)
}

async function readAgain(connection: Observable<Connection>): Promise<void> {
  try {
    queryClient.setQueryData(statusQuery.queryKey, noticed(await shop.status()))
    await queryClient.invalidateQueries({ predicate: ({ queryKey }) => READ.has(queryKey[0]) })
    if (needsReading(connection.get(), Date.now())) rereadAt.set(Date.now())
  } catch {
    rereadAt.set(0)
  }
}
