import { Link, useParams } from 'wouter'

import { usePoll } from '../api'
import { Empty, Failure, PageFrame } from '../kit/kit'
import { ChapterView } from './ChapterView'
import type { Row } from './workshop'

/** The list of chapters at the left, and one of them. Without a number: the first that is not done. */
export default function WorkshopPage() {
  const rows = usePoll<Row[]>('/admin/workshop', 5_000)
  const { place } = useParams<{ place?: string }>()
  const shown = place ?? rows.data?.find(({ state }) => state !== 'done')?.place ?? rows.data?.at(-1)?.place
  const here = rows.data?.find((row) => row.place === shown)
  return (
    <PageFrame title={here ? `${here.place} · ${here.title}` : 'Workshop'} lead="Each chapter ends with checks that look at this shop.">
      <Failure error={rows.error} what="Workshop" />
      {rows.data?.length === 0 && <Empty>This program was built without the workshop's texts.</Empty>}
      {rows.data && rows.data.length > 0 && (
        <div className="grid min-w-0 items-start gap-5 xl:grid-cols-[16rem_minmax(0,1fr)]">
          <Chapters rows={rows.data} shown={shown} />
          {shown !== undefined && <ChapterView key={shown} place={shown} next={after(rows.data, shown)} />}
        </div>
      )}
    </PageFrame>
  )
}

function after(rows: Row[], place: string): Row | undefined {
  return rows[rows.findIndex((row) => row.place === place) + 1]
}

function Chapters({ rows, shown }: { rows: Row[]; shown: string | undefined }) {
  return (
    <nav aria-label="Chapters" className="panel min-w-0 p-2 xl:sticky xl:top-5">
      <ul>
        {rows.map((row) => (
          <li key={row.place}>
            <Link href={`/workshop/${row.place}`} aria-current={row.place === shown ? 'page' : undefined} className="flex min-h-9 items-center gap-2.5 rounded-lg px-2.5 py-1 hover:bg-well aria-[current=page]:bg-well aria-[current=page]:font-semibold pointer-coarse:min-h-11">
              <span className="num w-5 shrink-0 text-right text-soft">{row.place}</span>
              <span className="min-w-0 flex-1">{row.title}</span>
              <span className={`num shrink-0 text-sm ${row.state === 'done' ? 'text-leaf' : 'text-soft'}`}>{row.state === 'done' ? '✓ done' : `${row.passed}/${row.checks}`}</span>
            </Link>
          </li>
        ))}
      </ul>
    </nav>
  )
}
