import { useState, type FormEvent } from 'react'

import { useDraft } from '../draft'
import { isoOf, momentOf } from './timeline'

const MINUTES = [
  [15, '15 minutes ago'],
  [60, 'an hour ago'],
  [1_440, 'a day ago'],
] as const

type Span = { from: string; to: string }

/** Which changes are shown and drawn: those since a while, or those between any two moments. Both are milliseconds; empty is open. */
export function SpanForm({ from, to, setSpan }: Span & { setSpan: (span: Span) => void }) {
  const [fromText, setFromText] = useDraft(from === '' ? '' : isoOf(momentOf(from)))
  const [toText, setToText] = useDraft(to === '' ? '' : isoOf(momentOf(to)))
  const [wrong, setWrong] = useState(false)
  const show = (event: FormEvent) => {
    event.preventDefault()
    const moments = [fromText, toText].map((text) => (text.trim() === '' ? '' : momentOf(text.trim())))
    const areMoments = moments.every((moment) => !Number.isNaN(moment))
    setWrong(!areMoments)
    if (areMoments) setSpan({ from: String(moments[0]), to: String(moments[1]) })
  }
  const since = (minutes: string) => {
    setWrong(false)
    setSpan({ from: minutes === '' ? '' : String(Date.now() - Number(minutes) * 60_000), to: '' })
  }
  return (
    <form onSubmit={show} className="flex flex-wrap items-center gap-2 text-sm font-semibold">
      <label className="flex items-center gap-2">
        Since
        <select className="input w-auto font-normal" value={from === '' && to === '' ? '' : 'set'} onChange={(event) => since(event.target.value)}>
          <option value="">the log began</option>
          {(from !== '' || to !== '') && <option value="set">the moment at the right</option>}
          {MINUTES.map(([minutes, name]) => (
            <option key={minutes} value={minutes}>
              {name}
            </option>
          ))}
        </select>
      </label>
      <input className="input w-56 font-normal" aria-label="Changes from" placeholder="or from 10:42" value={fromText} onChange={(event) => setFromText(event.target.value)} aria-invalid={wrong} />
      <input className="input w-56 font-normal" aria-label="Changes to" placeholder="to now" value={toText} onChange={(event) => setToText(event.target.value)} aria-invalid={wrong} />
      <button type="submit" className="act">
        Show
      </button>
      {wrong && (
        <p role="alert" className="text-out">
          A moment is 10:42, 2026-01-31T10:42:00Z, or milliseconds.
        </p>
      )}
    </form>
  )
}
