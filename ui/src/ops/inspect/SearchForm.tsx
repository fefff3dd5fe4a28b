import { Search } from 'lucide-react'
import { useId } from 'react'

import { Refused, usePoll } from '../api'
import { count } from '../../lib/locale'
import { useDraft } from '../draft'
import type { Asked, Field } from './query'

type Topic = { topic: string; partitions: { start: number; end: number }[] }

/** What is to be found. It is asked when the form is sent. */
export function SearchForm({ asked, onAsk, error }: { asked: Asked; onAsk: (asked: Asked) => void; error: Error | null }) {
  // As a text, since each render has another object for the same question.
  const [text, setText] = useDraft(JSON.stringify(asked))
  const draft = JSON.parse(text) as Asked
  const set = (field: Field) => (value: string) => setText(JSON.stringify({ ...draft, [field]: value }))
  return (
    <form
      className="grid gap-4"
      onSubmit={(event) => {
        event.preventDefault()
        onAsk(draft)
      }}
    >
      <TopicPicker chosen={draft.topics} onChoose={set('topics')} />
      <PredicateField text={draft.where} onText={set('where')} asked={asked.where} error={error} />
      <div className="grid grid-cols-[repeat(auto-fit,minmax(10rem,1fr))] items-end gap-3">
        <Field label="From" text={draft.from} onText={set('from')} placeholder="start" />
        <Field label="To (left out)" text={draft.to} onText={set('to')} placeholder="end" />
        <Field label="Partition" text={draft.partition} onText={set('partition')} placeholder="all" />
        <Choice label="Merged by" value={draft.order} onValue={set('order')} values={[['time', 'append time'], ['offset', 'offset']]} />
        <Choice label="First" value={draft.direction} onValue={set('direction')} values={[['newest', 'newest'], ['oldest', 'oldest']]} />
        <button type="submit" className="act-main">
          <Search size={15} aria-hidden /> Search
        </button>
      </div>
      <p className="text-sm text-soft">
        From and to: <code className="code">-1h</code>, <code className="code">2026-01-31T10:00:00Z</code>, milliseconds, an offset, or <code className="code">-20</code> for the last 20 of each partition.
      </p>
    </form>
  )
}

function TopicPicker({ chosen, onChoose }: { chosen: string; onChoose: (topics: string) => void }) {
  const { data } = usePoll<Topic[]>('/admin/topics', 0)
  const names = chosen.split(',').filter((name) => name !== '')
  const toggle = (name: string) => onChoose((names.includes(name) ? names.filter((other) => other !== name) : [...names, name]).join(','))
  return (
    <fieldset>
      <legend className="mb-1 text-sm font-semibold text-soft">Topics</legend>
      <div className="flex flex-wrap gap-2">
        {data?.map(({ topic, partitions }) => (
          <label key={topic} className="act font-normal has-[:checked]:border-ink has-[:checked]:bg-well">
            <input type="checkbox" checked={names.includes(topic)} onChange={() => toggle(topic)} />
            <span className="code">{topic}</span>
            <span className="num text-soft">{count(partitions.reduce((sum, { start, end }) => sum + end - start, 0))}</span>
          </label>
        ))}
      </div>
    </fieldset>
  )
}

const EXAMPLES: [string, string][] = [
  ['.value.productId == "PROD_0001"', 'a field of the value'],
  ['.value.currentInventory < 5 and not .value.critical', 'numbers, and, or, not, parentheses'],
  ['.key startswith "PROD_00"', 'also contains, endswith'],
  ['.value.changeReason | test("^Order .* sold$")', 'a regular expression, without look-around'],
  ['.header.kartshoppe-cause contains "order-events"', 'a header'],
  ['length(.value.tags) > 3', 'of texts, lists and objects'],
  ['.value.price | to-double >= 9.99', 'numbers from texts: to-long, to-double'],
  ['.timestamp >= from-date("2026-01-31T10:00:00Z")', 'dates and times in milliseconds'],
  ['.value["odd name"].list[0] == null', 'a path that leads nowhere is null'],
]

function PredicateField({ text, onText, asked, error }: { text: string; onText: (text: string) => void; asked: string; error: Error | null }) {
  const id = useId()
  const problem = error instanceof Refused ? (error.problem as { at?: number; errors?: { field: string; message: string }[] }) : null
  const wrong = problem?.errors?.find(({ field }) => field === 'where')
  return (
    <div>
      <label htmlFor={id} className="mb-1 block text-sm font-semibold text-soft">
        Predicate
      </label>
      <input id={id} className="input code" value={text} onChange={(event) => onText(event.target.value)} placeholder=".value.productId == &quot;PROD_0001&quot;" spellCheck={false} autoComplete="off" autoCapitalize="off" aria-invalid={wrong ? true : undefined} aria-describedby={`${id}-error`} />
      <div id={`${id}-error`} role={wrong ? 'alert' : undefined}>
        {wrong && (
          <>
            <pre className="code mt-1 overflow-x-auto text-out" aria-hidden>{`${asked}\n${' '.repeat(Math.max(0, (problem?.at ?? 1) - 1))}^`}</pre>
            <p className="text-out">{wrong.message}</p>
          </>
        )}
      </div>
      <details className="mt-1">
        <summary className="text-sm text-soft">How to write a predicate</summary>
        <dl className="mt-2 grid grid-cols-[auto_minmax(0,1fr)] items-baseline gap-x-4 gap-y-1 max-sm:grid-cols-1">
          {EXAMPLES.map(([example, meaning]) => (
            <div key={example} className="contents">
              <dt>
                <button type="button" className="code link text-left" onClick={() => onText(example)}>
                  {example}
                </button>
              </dt>
              <dd className="text-sm text-soft">{meaning}</dd>
            </div>
          ))}
        </dl>
      </details>
    </div>
  )
}

function Field({ label, text, onText, placeholder }: { label: string; text: string; onText: (text: string) => void; placeholder: string }) {
  return (
    <label className="grid gap-1">
      <span className="text-sm font-semibold text-soft">{label}</span>
      <input className="input code" value={text} onChange={(event) => onText(event.target.value)} placeholder={placeholder} spellCheck={false} autoComplete="off" />
    </label>
  )
}

function Choice({ label, value, onValue, values }: { label: string; value: string; onValue: (value: string) => void; values: [string, string][] }) {
  return (
    <label className="grid gap-1">
      <span className="text-sm font-semibold text-soft">{label}</span>
      <select className="input" value={value} onChange={(event) => onValue(event.target.value)}>
        {values.map(([each, name]) => (
          <option key={each} value={each}>
            {name}
          </option>
        ))}
      </select>
    </label>
  )
}
