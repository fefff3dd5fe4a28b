import { useState } from 'react'

import type { LogLine, LogPage } from '../../wire'
import { count } from '../../lib/locale'
import { useObservable } from '../../lib/observable'
import { usePoll } from '../api'
import { Badge, Empty, Failure, PageFrame, Panel, Scroll, type Tone } from '../kit/kit'
import { TraceLink } from '../kit/links'
import { linkTo, useParam } from '../params'
import { shownProcess } from '../presence'
import { useLines } from '../stream'

/** Lines of the tail that are kept. */
const KEPT = 2_000
const TONE: Record<string, Tone> = { error: 'bad', warn: 'low', info: 'good', debug: 'quiet', trace: 'quiet' }
const LEVELS = ['error', 'warn', 'info', 'debug', 'trace'] as const

export default function LogsPage() {
  const [level, setLevel] = useParam('level', 'info')
  const [part, setPart] = useParam('part')
  const [text, setText] = useParam('text')
  const [trace, setTrace] = useParam('trace')
  const [paused, setPaused] = useState(false)
  const filter = { level, part, text, trace }
  const page = usePoll<LogPage>(linkTo('/admin/logs', { ...filter, limit: 500 }), 0)
  const process = useObservable(shownProcess)
  const resume = () => {
    // What was written while it was paused.
    if (paused) void page.refetch()
    setPaused(!paused)
  }
  return (
    <PageFrame
      title="Logs"
      lead="The newest lines of this process, and those that come. Older ones are in its log files."
      actions={
        <button type="button" className={paused ? 'act-main' : 'act'} aria-pressed={paused} onClick={resume}>
          {paused ? 'Resume' : 'Pause'}
        </button>
      }
    >
      <div className="flex flex-wrap items-end gap-3">
        <label className="text-sm">
          This level and worse
          <select className="input" value={level} onChange={(event) => setLevel(event.target.value)}>
            {LEVELS.map((name) => (
              <option key={name}>{name}</option>
            ))}
          </select>
        </label>
        <Field label="Part or actor" value={part} onChange={setPart} />
        <Field label="Text" value={text} onChange={setText} />
        <Field label="Trace id" value={trace} onChange={setTrace} />
      </div>
      <Failure error={page.error} what="Logs" />
      {page.data && <Lines key={JSON.stringify([filter, process?.startedAtMs])} page={page.data} path={paused ? null : linkTo('/admin/logs/tail', filter)} />}
    </PageFrame>
  )
}

function Field({ label, value, onChange }: { label: string; value: string; onChange: (value: string) => void }) {
  return (
    <label className="min-w-32 flex-1 text-sm">
      {label}
      <input className="input" value={value} onChange={(event) => onChange(event.target.value)} />
    </label>
  )
}

/** The lines that were there, with those that came on top. */
function Lines({ page, path }: { page: LogPage; path: string | null }) {
  const [came, setCame] = useState<LogLine[]>([])
  useLines(path, (line) => {
    const lines = (JSON.parse(line) as LogLine[]).toReversed()
    if (lines.length > 0) setCame((before) => [...lines, ...before].slice(0, KEPT))
  })
  const known = new Set(came.map(({ number }) => number))
  const lines = [...came, ...page.lines.filter(({ number }) => !known.has(number))].toSorted((one, other) => other.number - one.number)
  return (
    <Panel title={`${count(lines.length)} lines`} note={path === null ? 'paused' : `of ${count(page.written)} since the process started`} flush>
      <Scroll label="Lines of the log" className="max-h-[70dvh] overflow-y-auto">
        <table className="tbl">
          <thead>
            <tr>
              <th>Time</th>
              <th>Level</th>
              <th>Line</th>
              <th>Part</th>
            </tr>
          </thead>
          <tbody>
            {lines.map((line) => (
              <tr key={line.number}>
                <td className="num whitespace-nowrap">{new Date(line.at).toLocaleTimeString()}</td>
                <td>
                  <Badge tone={TONE[line.level] ?? 'quiet'}>{line.level}</Badge>
                </td>
                <td className="min-w-64 break-words">
                  {line.text}
                  <span className="code block break-all text-soft">
                    {Object.entries(line.fields)
                      .map(([name, value]) => `${name}=${value}`)
                      .join(' ')}
                  </span>
                  {line.trace !== null && <TraceLink id={line.trace} />}
                </td>
                <td className="code whitespace-nowrap text-soft">{line.part}</td>
              </tr>
            ))}
          </tbody>
        </table>
        {lines.length === 0 && <Empty>No line of the newest {count(page.kept)} fits.</Empty>}
      </Scroll>
    </Panel>
  )
}
