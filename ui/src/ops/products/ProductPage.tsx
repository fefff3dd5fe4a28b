import { useState, type FormEvent } from 'react'
import { Link, useParams } from 'wouter'

import { money } from '../../lib/money'
import { dateAndTime, preciseTime } from '../../lib/time'
import { usePoll } from '../api'
import { useDraft } from '../draft'
import { Badge, Empty, Failure, PageFrame, Panel, Scroll } from '../kit/kit'
import { RecordLink, TraceLink } from '../kit/links'
import { linkTo, useParam } from '../params'
import { CauseValue } from './CauseValue'
import { SpanForm } from './SpanForm'
import { StepChart } from './StepChart'
import { isoOf, momentOf, type Cause, type Change, type Timeline } from './timeline'

export default function ProductPage() {
  const { id = '' } = useParams<{ id: string }>()
  const [at, setAt] = useParam('at')
  const [from, setFrom] = useParam('from')
  const [to, setTo] = useParam('to')
  const [cursor, setCursor] = useParam('cursor')
  const path = `/admin/products/${encodeURIComponent(id)}/timeline`
  // The whole span stays drawn while the moment moves in it.
  const span = usePoll<Timeline>(linkTo(path, { from, to, cursor, limit: 500 }), cursor === '' ? 5_000 : 0)
  const then = usePoll<Timeline>(linkTo(path, { at, limit: 1 }), at === '' ? 5_000 : 0)
  const changes = span.data?.changes ?? []
  return (
    <PageFrame title={`Product ${id}`} lead="What it was at any moment since the log began, and why.">
      <Moment at={at} changes={changes} setAt={setAt} />
      <Failure error={then.error ?? span.error} what="History" />
      {then.data && <State timeline={then.data} next={at === '' ? undefined : nextAfter(changes, momentOf(at))} go={setAt} />}
      <Panel title="Stock and price" note={since(span.data)}>
        {changes.length === 0 ? <Empty>No change in this span.</Empty> : <StepChart changes={changes} at={at === '' ? null : momentOf(at)} />}
      </Panel>
      <Panel
        title="Changes"
        flush
        actions={
          <>
            <SpanForm
              from={from}
              to={to}
              setSpan={(wanted) => {
                setCursor('')
                setFrom(wanted.from)
                setTo(wanted.to)
              }}
            />
            {cursor !== '' && (
              <button type="button" className="act" onClick={() => setCursor('')}>
                Newest
              </button>
            )}
            {span.data?.cursor && (
              <button type="button" className="act" onClick={() => setCursor(span.data?.cursor ?? '')}>
                Older
              </button>
            )}
          </>
        }
      >
        <Changes changes={changes} />
      </Panel>
    </PageFrame>
  )
}

/** The first change after a moment, among those that are shown. */
const nextAfter = (changes: readonly Change[], at: number) => changes.filter(({ time }) => time > at).toSorted((one, other) => one.time - other.time)[0]

function since(timeline?: Timeline) {
  if (!timeline?.since) return 'nothing is cut'
  return timeline.since.time === null ? 'no record is left' : `proven since ${dateAndTime(timeline.since.time)}; older records are gone`
}

/** The moment, as a time to type and as a slider over the changes that are shown. */
function Moment({ at, changes, setAt }: { at: string; changes: readonly Change[]; setAt: (at: string) => void }) {
  const [wrong, setWrong] = useState(false)
  const [draft, setDraft] = useDraft(at === '' ? '' : isoOf(momentOf(at)))
  const times = changes.map(({ time }) => time)
  const [least, most] = [Math.min(...times), Math.max(...times)]
  const go = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const text = draft.trim()
    const isMoment = text === '' || !Number.isNaN(momentOf(text))
    setWrong(!isMoment)
    if (isMoment) setAt(text === '' ? '' : String(momentOf(text)))
  }
  return (
    <form onSubmit={go} className="flex flex-wrap items-end gap-3">
      <label className="grid gap-1 text-sm font-semibold">
        Moment
        <input className="input w-72 font-normal" value={draft} onChange={(typed) => setDraft(typed.target.value)} placeholder="now, 10:42, or 2026-01-31T10:42:00Z" aria-invalid={wrong} aria-describedby={wrong ? 'moment-wrong' : undefined} />
      </label>
      <button type="submit" className="act-main">
        Go there
      </button>
      {wrong && (
        <p id="moment-wrong" role="alert" className="text-sm text-out">
          This is no time. Write 10:42, 2026-01-31T10:42:00Z, or milliseconds.
        </p>
      )}
      {at !== '' && (
        <button type="button" className="act" onClick={() => setAt('')}>
          Now
        </button>
      )}
      {times.length > 1 && most > least && (
        <label className="grid grow gap-1 text-sm font-semibold">
          Along the changes
          <input type="range" min={least} max={most} step={1} value={Math.min(most, Math.max(least, at === '' ? most : momentOf(at)))} onChange={(event) => setAt(event.target.value)} className="w-full" />
        </label>
      )}
    </form>
  )
}

function State({ timeline, next, go }: { timeline: Timeline; next: Change | undefined; go: (at: string) => void }) {
  const { state, revision, proof, cause, at } = timeline
  return (
    <Panel title={at === null ? 'Now' : `At ${dateAndTime(at)} (${preciseTime(at)})`} note={revision && `revision ${revision.life}.${revision.version}`}>
      {state ? (
        <p data-testid="state" className="text-lg">
          <strong className="num text-2xl">{state.stock}</strong> in stock at <strong className="num">{money(state.price)}</strong>
          {state.name && `, called ${state.name}`}
        </p>
      ) : (
        <p data-testid="state">{proof === 'absent' ? <Badge tone="quiet">There was no such product.</Badge> : <Badge tone="low">Nothing that is left proves what it was.</Badge>}</p>
      )}
      {proof === 'next' && <p className="mt-1 text-soft">Known by the first change after it.</p>}
      {cause && (
        <p className="mt-2" data-testid="why">
          Because of <Why cause={cause} />
        </p>
      )}
      {next && (
        <button type="button" className="act mt-3" onClick={() => go(String(next.time))}>
          Next change: {preciseTime(next.time)}, stock {course(String(next.stockBefore ?? '–'), String(next.stockAfter ?? '–'))}
        </button>
      )}
      {cause?.kind === 'record' && cause.topic !== undefined && <CauseValue place={`${cause.topic}/${cause.partition ?? 0}/${cause.offset ?? 0}`} />}
    </Panel>
  )
}

function Why({ cause }: { cause: Cause }) {
  return (
    <>
      {cause.kind === 'record' && cause.topic !== undefined ? <RecordLink topic={cause.topic} partition={cause.partition ?? 0} offset={cause.offset ?? 0} /> : <span>{WORDS[cause.kind] ?? cause.text}</span>}
      {cause.orderId !== undefined && (
        <>
          , order{' '}
          <Link href={`/orders/${encodeURIComponent(cause.orderId)}`} className="link code">
            {cause.orderId}
          </Link>
          {cause.quantity !== undefined && ` (${cause.allocated ?? 0} of ${cause.quantity})`}
        </>
      )}
      {cause.traceId !== undefined && (
        <>
          , <TraceLink id={cause.traceId} />
        </>
      )}
    </>
  )
}

const WORDS: Record<string, string> = { file: 'the bootstrap file', timer: 'a deadline that came due', unknown: 'another program, which names no cause' }

const course = (before: string, after: string) => (before === after ? after : `${before} → ${after}`)

function Changes({ changes }: { changes: readonly Change[] }) {
  if (changes.length === 0) return <Empty>No change in this span.</Empty>
  return (
    <Scroll label="Changes">
      <table className="tbl">
        <thead>
          <tr>
            <th className="right">Time</th>
            <th>Event</th>
            <th className="right">Stock</th>
            <th className="right">Price</th>
            <th>Why</th>
            <th className="right">Revision</th>
          </tr>
        </thead>
        <tbody>
          {changes.map((change) => (
            <tr key={change.offset}>
              <td className="right" title={isoOf(change.time)}>
                {dateAndTime(change.time)} <span className="text-soft">{preciseTime(change.time)}</span>
              </td>
              <td>
                <span className="font-semibold">{change.eventType.toLowerCase().replaceAll('_', ' ')}</span>
                <span className="block text-sm text-soft">{change.reason}</span>
              </td>
              <td className="right">{course(String(change.stockBefore ?? '–'), String(change.stockAfter ?? '–'))}</td>
              <td className="right">{course(money(change.priceBefore), money(change.priceAfter))}</td>
              <td>
                <Why cause={change.cause} />
              </td>
              <td className="right">{change.revision ? `${change.revision.life}.${change.revision.version}` : '–'}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Scroll>
  )
}
