import type { ReactNode } from 'react'

import { count } from '../../lib/locale'
import { usePoll } from '../api'
import { bytes, span } from '../format'
import { Badge, Empty, Failure, Figure, PageFrame, Panel, type Tone } from '../kit/kit'

/** `GET /admin/cdc`. */
type Cdc = {
  phase: 'stopped' | 'starting' | 'waiting' | 'first-start' | 'streaming' | 'alarm'
  says: string
  rows: number
  lagMs: number | null
  slot: Slot | null
  slotUnknown: string | null
}
type Slot = {
  slot: string
  database: string
  exists: boolean
  readerPid: number | null
  makerPid: number | null
  walStatus: string | null
  position: Record<string, unknown> | null
  positionUnknown: string | null
  lagBytes: number | null
  lagMs: number
  waitingItems: number
  retainedBytes: number | null
  safeBytes: number | null
  alarm: string | null
  advice: string | null
}

const TONE: Record<Cdc['phase'], Tone> = { stopped: 'quiet', starting: 'low', waiting: 'info', 'first-start': 'low', streaming: 'good', alarm: 'bad' }

/** `none` stands for what the slot says is not there; a dash for no slot. */
const size = (value: number | null | undefined, none = '–') => (value === undefined ? '–' : value === null ? none : bytes(value))

/** What the parts of a position are called. */
const POSITION: Record<string, string> = {
  systemId: 'PostgreSQL system',
  timeline: 'Timeline',
  resumeLsn: 'Read up to, LSN',
  partCommitLsn: 'Commit read in part, LSN',
  partIndex: 'Items read of it',
}

export default function WalPage() {
  const cdc = usePoll<Cdc>('/admin/cdc', 5_000)
  const { data } = cdc
  const slot = data?.slot
  return (
    <PageFrame title="WAL" lead="Order items that go through PostgreSQL's write-ahead log: the reader of this process, and the replication slot that keeps the log until it was read.">
      <Failure error={cdc.error} what="WAL" />
      {data && (
        <dl className="grid grid-cols-2 gap-3 md:grid-cols-3 xl:grid-cols-6">
          <Figure label="Reader" value={<Badge tone={TONE[data.phase]}>{data.phase}</Badge>} note={data.says} />
          <Figure label="Published here" value={count(data.rows)} note="order items" />
          <Figure label="Lag" value={size(slot?.lagBytes)} note={data.lagMs === null ? 'age unknown' : `the oldest is ${span(data.lagMs)} old`} />
          <Figure label="Items that wait" value={slot ? count(slot.waitingItems) : '–'} note={slot && slot.lagMs > 0 ? `since ${span(slot.lagMs)}` : 'without an outcome'} />
          <Figure label="Kept for the slot" value={size(slot?.retainedBytes)} note="on PostgreSQL's disk" />
          <Figure label="Until it is given up" value={size(slot?.safeBytes, 'no limit')} note="of WAL still to be written" />
        </dl>
      )}
      {data?.slotUnknown && <Advice tone="bad" title="PostgreSQL does not answer">{data.slotUnknown}</Advice>}
      {slot?.alarm && <Advice tone="bad" title="It cannot read">{slot.alarm}</Advice>}
      {slot?.advice && <Advice tone="low" title="To be done">{slot.advice}</Advice>}
      {slot && (
        <Panel title={`Slot ${slot.slot}`} note={`in ${slot.database}`}>
          <dl className="grid gap-x-8 gap-y-2 sm:grid-cols-[max-content_1fr]">
            <Row name="Exists">{slot.exists ? 'yes' : 'no'}</Row>
            <Row name="Read by">{slot.readerPid === null ? 'no process' : `PostgreSQL process ${slot.readerPid}`}</Row>
            {slot.makerPid !== null && <Row name="Made by">PostgreSQL process {slot.makerPid}</Row>}
            <Row name="State in PostgreSQL">{slot.walStatus ?? 'unknown'}</Row>
            {slot.positionUnknown !== null && <Row name="Position">{slot.positionUnknown}</Row>}
            {Object.entries(slot.position ?? {}).map(([name, value]) => (
              <Row key={name} name={POSITION[name] ?? name}>
                <span className="code break-all">{value === null ? 'none' : typeof value === 'object' ? JSON.stringify(value) : String(value)}</span>
              </Row>
            ))}
          </dl>
        </Panel>
      )}
      {!data && !cdc.error && <Empty>Asking PostgreSQL…</Empty>}
    </PageFrame>
  )
}

function Advice({ tone, title, children }: { tone: Tone; title: string; children: ReactNode }) {
  return (
    <div role={tone === 'bad' ? 'alert' : 'status'} className={`panel border-2 px-4 py-3 ${tone === 'bad' ? 'border-out' : 'border-low'}`}>
      <Badge tone={tone}>{title}</Badge>
      <p className="mt-1 break-words">{children}</p>
    </div>
  )
}

function Row({ name, children }: { name: string; children: ReactNode }) {
  return (
    <>
      <dt className="text-soft">{name}</dt>
      <dd className="num min-w-0">{children}</dd>
    </>
  )
}
