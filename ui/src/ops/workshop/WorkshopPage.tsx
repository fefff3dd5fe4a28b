import { useQueryClient } from '@tanstack/react-query'
import { useEffect } from 'react'
import { Link, useParams } from 'wouter'

import { ask, usePoll } from '../api'
import { Empty, Failure, PageFrame } from '../kit/kit'
import { ChapterView } from './ChapterView'
import { ExerciseView } from './ExerciseView'
import { TextView } from './TextView'
import { isExercise, isText, picturesOf, TEXTS, type Chapter, type Row, type TextPlace } from './workshop'

/** The list of chapters, exercises and other texts at the left, and one of them. Without a place: the first chapter that is not done. */
export default function WorkshopPage() {
  const rows = usePoll<Row[]>('/admin/workshop', 5_000)
  const { place } = useParams<{ place?: string }>()
  const text = isText(place) ? place : undefined
  const shown = text ?? place?.toUpperCase() ?? rows.data?.find(({ state }) => state !== 'done')?.place ?? rows.data?.at(-1)?.place
  useKept(rows.data)
  const here = rows.data?.find((row) => row.place === shown)
  const View = here && isExercise(here.place) ? ExerciseView : ChapterView
  return (
    <PageFrame title={here ? `${here.place} · ${here.title}` : text ? TEXTS[text] : 'Workshop'} lead={text ? undefined : 'Each chapter ends with checks that look at this shop.'}>
      <Failure error={rows.error} what="Workshop" />
      {rows.data?.length === 0 && <Empty>This program was built without the workshop's texts.</Empty>}
      {rows.data && rows.data.length > 0 && (
        <div className="grid min-w-0 items-start gap-5 xl:grid-cols-[16rem_minmax(0,1fr)]">
          <Chapters rows={rows.data} shown={shown} />
          {text && <TextView key={text} place={text} />}
          {place !== undefined && !text && !here && <Empty>There is no chapter or exercise {place}.</Empty>}
          {here && <View key={here.place} place={here.place} next={after(rows.data, here.place)} />}
        </div>
      )}
    </PageFrame>
  )
}

/** Reads every text and picture once, so that all of them stay readable while the shop is closed: chapters stop it. */
function useKept(rows: Row[] | undefined) {
  const client = useQueryClient()
  const places = rows ? [...rows.map(({ place }) => place), ...Object.keys(TEXTS)].join(' ') : ''
  useEffect(() => {
    for (const place of places.split(' ').filter(Boolean)) {
      const path = `/admin/workshop/${place}`
      const text = client.fetchQuery({ queryKey: ['admin', path], queryFn: ({ signal }) => ask<Chapter>(path, { signal }), gcTime: Infinity, staleTime: Infinity })
      // A text that cannot be read shows its error when it is opened.
      void text.then(keepPictures).catch(() => undefined)
    }
  }, [client, places])
}

/** A browser does not ask again for what an element of the page holds. */
const kept = new Map<string, HTMLImageElement>()

function keepPictures({ blocks }: Chapter) {
  for (const address of blocks.flatMap((block) => ('html' in block ? picturesOf(block.html) : []))) {
    const picture = kept.get(address) ?? new Image()
    picture.src = address
    kept.set(address, picture)
  }
}

function after(rows: Row[], place: string): Row | undefined {
  return rows[rows.findIndex((row) => row.place === place) + 1]
}

function Chapters({ rows, shown }: { rows: Row[]; shown: string | undefined }) {
  return (
    <nav aria-label="Chapters" className="panel min-w-0 p-2 xl:sticky xl:top-5 xl:max-h-[calc(100dvh-2.5rem)] xl:overflow-y-auto">
      <ul>
        <Rows rows={rows.filter(({ place }) => !isExercise(place))} shown={shown} />
      </ul>
      <p className="mt-2 border-t border-line px-2.5 pt-2 pb-1 text-sm text-soft">Exercises, in which you write Rust:</p>
      <ul>
        <TextRow place="exercises" shown={shown} />
        <Rows rows={rows.filter(({ place }) => isExercise(place))} shown={shown} />
      </ul>
      <p className="mt-2 border-t border-line px-2.5 pt-2 pb-1 text-sm text-soft">When something fails, and for those who teach:</p>
      <ul>
        <TextRow place="troubleshooting" shown={shown} />
        <TextRow place="agenda" shown={shown} />
      </ul>
    </nav>
  )
}

const ROW = 'flex min-h-9 items-center gap-2.5 rounded-lg px-2.5 py-1 hover:bg-well aria-[current=page]:bg-well aria-[current=page]:font-semibold pointer-coarse:min-h-11'

function TextRow({ place, shown }: { place: TextPlace; shown: string | undefined }) {
  return (
    <li>
      <Link href={`/workshop/${place}`} aria-current={place === shown ? 'page' : undefined} className={`${ROW} pl-10`}>
        {TEXTS[place]}
      </Link>
    </li>
  )
}

function Rows({ rows, shown }: { rows: Row[]; shown: string | undefined }) {
  return rows.map((row) => (
    <li key={row.place}>
      <Link href={`/workshop/${row.place}`} aria-current={row.place === shown ? 'page' : undefined} className={ROW}>
        <span className="num w-5 shrink-0 text-right text-soft">{row.place}</span>
        <span className="min-w-0 flex-1">{row.title}</span>
        <span className={`num shrink-0 text-sm ${row.state === 'done' ? 'text-leaf' : 'text-soft'}`}>{row.state === 'done' ? '✓ done' : `${row.passed}/${row.checks}`}</span>
      </Link>
    </li>
  ))
}
