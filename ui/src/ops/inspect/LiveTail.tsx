import { Pause, Play } from 'lucide-react'
import { useRef, useState } from 'react'

import { count } from '../../lib/locale'
import { Panel } from '../kit/kit'
import { useLines } from '../stream'
import { tailPath, type Asked } from './query'
import { RecordsTable } from './RecordsTable'
import type { ShownRecord, TailBatch } from './records'

/** Rows that are kept; older ones go. */
const KEPT = 500

type Seen = { records: ShownRecord[]; held: ShownRecord[]; scanned: number; skipped: number; error: string | undefined }
const NOTHING: Seen = { records: [], held: [], scanned: 0, skipped: 0, error: undefined }

/** Records as they come, the newest first. While it is paused they are held back; what is too much is counted. */
export function LiveTail({ asked, onOpen, onClose }: { asked: Asked; onOpen: (place: string) => void; onClose: () => void }) {
  const [seen, setSeen] = useState(NOTHING)
  const [paused, setPaused] = useState(false)
  const before = useRef({ scanned: 0, skipped: 0 })
  useLines(tailPath(asked), (line) => {
    const batch = JSON.parse(line) as TailBatch
    // The counts of a stream begin at nothing: one that broke off begins again.
    const isNew = batch.scanned < before.current.scanned || before.current.scanned === 0
    const gain = { scanned: batch.scanned - (isNew ? 0 : before.current.scanned), skipped: batch.skipped - (isNew ? 0 : before.current.skipped) }
    before.current = { scanned: batch.scanned, skipped: batch.skipped }
    setSeen((last) => taken(last, batch, gain, paused))
  })
  const resume = () => {
    setPaused(false)
    setSeen((last) => ({ ...last, records: [...last.held, ...last.records].slice(0, KEPT), held: [] }))
  }
  return (
    <Panel
      title="Live"
      flush
      note={
        <span aria-live="off" data-testid="tail-counts">
          {count(seen.scanned)} read · {count(seen.skipped)} skipped
          {paused && ` · ${count(seen.held.length)} held back`}
        </span>
      }
      actions={
        <>
          <button type="button" className="act" aria-pressed={paused} onClick={paused ? resume : () => setPaused(true)}>
            {paused ? <Play size={15} aria-hidden /> : <Pause size={15} aria-hidden />}
            {paused ? 'Resume' : 'Pause'}
          </button>
          <button type="button" className="act" onClick={onClose}>
            Stop
          </button>
        </>
      }
    >
      {seen.error && <p className="p-4 text-out">{seen.error}</p>}
      <RecordsTable label="Records as they come" records={seen.records} onOpen={onOpen} empty="Waiting for records that fit." />
    </Panel>
  )
}

function taken(last: Seen, batch: TailBatch, gain: { scanned: number; skipped: number }, paused: boolean): Seen {
  const [into, other] = paused ? ([last.held, last.records] as const) : ([last.records, last.held] as const)
  const grown = [...batch.records.toReversed(), ...into]
  // Rows that scroll away were seen; those that were held back and go were not.
  const lost = paused ? Math.max(0, grown.length - KEPT) : 0
  const kept = grown.slice(0, KEPT)
  const counts = { scanned: last.scanned + gain.scanned, skipped: last.skipped + gain.skipped + lost, error: batch.error }
  return paused ? { ...counts, records: other, held: kept } : { ...counts, records: kept, held: other }
}
