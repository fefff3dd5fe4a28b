import { useInfiniteQuery } from '@tanstack/react-query'

import { count } from '../../lib/locale'
import { ask, Refused } from '../api'
import { Failure, Panel } from '../kit/kit'
import { searchPath, type Asked } from './query'
import { RecordsTable } from './RecordsTable'
import type { EndedBy, RecordsPage } from './records'

/** Pages of 100 rows that stay on the screen. */
const PAGES_SHOWN = 5

/** A search, page by page; nothing is asked without topics. */
export function useSearch(asked: Asked) {
  return useInfiniteQuery({
    queryKey: ['search', asked],
    queryFn: ({ signal, pageParam }) => ask<RecordsPage>(searchPath(asked, pageParam), { signal, timeoutMs: 60_000 }),
    initialPageParam: '',
    getNextPageParam: (last) => last.cursor ?? null,
    getPreviousPageParam: () => null,
    maxPages: PAGES_SHOWN,
    enabled: asked.topics !== '',
    staleTime: Infinity,
    refetchOnWindowFocus: false,
    refetchOnReconnect: false,
  })
}

const WHY: Record<EndedBy, string> = {
  limit: 'A page is full.',
  bytes: 'A page is full: the records are large.',
  time: 'The time of one page was up.',
  log: 'The log could not be read any further.',
  retention: 'All that is left was searched; retention removed records meanwhile.',
}

/** What was found, how much was searched, and the way on. */
export function Results({ search, onOpen }: { search: ReturnType<typeof useSearch>; onOpen: (place: string) => void }) {
  const { data, error, isFetching, fetchNextPage, hasNextPage, isFetchNextPageError } = search
  const last = data?.pages.at(-1)
  const records = data?.pages.flatMap((page) => page.records) ?? []
  const isAboutPredicate = error instanceof Refused && 'at' in error.problem
  return (
    <Panel title="Records" flush note={<span aria-live="polite">{last ? `${count(records.length)} shown · scanned ${count(last.scanned)} of ${last.complete ? '' : 'at most '}${count(last.total)}` : isFetching ? 'Searching …' : ''}</span>}>
      {error && !isAboutPredicate && (
        <div className="p-4">
          <Failure error={error} what="Search" />
        </div>
      )}
      {last && <RecordsTable label="Records found" records={records} onOpen={onOpen} empty={last.complete ? 'No record fits.' : 'Nothing found so far.'} />}
      {last && (
        <div className="flex flex-wrap items-center gap-3 border-t border-line px-4 py-3">
          {last.complete && <p>Everything was searched.</p>}
          {!last.complete && <p>{last.error ?? WHY[last.endedBy ?? 'log']}</p>}
          {(hasNextPage || isFetchNextPageError) && (
            <button type="button" className="act" disabled={isFetching} aria-busy={isFetching} onClick={() => void fetchNextPage()}>
              {isFetching ? 'Searching …' : 'Search on'}
            </button>
          )}
        </div>
      )}
    </Panel>
  )
}
