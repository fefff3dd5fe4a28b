import { Plus, X } from 'lucide-react'
import { useId, type ReactNode } from 'react'

import { type Draft, type Kind, KINDS } from './draft'

const KIND_NAMES: Record<Kind, string> = { json: 'JSON', text: 'Text', empty: 'Empty', none: 'Null (tombstone)' }

type Change = { draft: Draft; onChange: (change: Partial<Draft>) => void }

/** One choice of several, as buttons of which one is pressed in. */
function Choice<T extends string>({ legend, name, options, chosen, onChoose }: { legend: string; name: string; options: readonly (readonly [T, string])[]; chosen: T; onChoose: (value: T) => void }) {
  return (
    <fieldset className="min-w-0">
      <legend className="mb-1 text-sm text-soft">{legend}</legend>
      <div className="flex flex-wrap gap-1.5">
        {options.map(([value, label]) => (
          <label key={value} className="act has-checked:border-leaf has-checked:bg-leaf has-checked:text-on-leaf has-focus-visible:outline-3 has-focus-visible:outline-offset-2 has-focus-visible:outline-back">
            <input type="radio" name={name} className="sr-only" checked={chosen === value} onChange={() => onChoose(value)} />
            {label}
          </label>
        ))}
      </div>
    </fieldset>
  )
}

function Fault({ id, children }: { id: string; children: ReactNode }) {
  return children ? (
    <p id={id} className="text-sm text-out">
      {children}
    </p>
  ) : null
}

export function KeyField({ draft, onChange, fault }: Change & { fault: string | undefined }) {
  const id = useId()
  return (
    <div className="grid gap-2">
      <Choice legend="Key" name="key-kind" options={[['none', 'None'], ['string', 'String']]} chosen={draft.hasKey ? 'string' : 'none'} onChoose={(kind) => onChange({ hasKey: kind === 'string' })} />
      {draft.hasKey && <input aria-label="Key text" className="input code" value={draft.key} onChange={({ target }) => onChange({ key: target.value })} spellCheck={false} aria-invalid={Boolean(fault)} aria-describedby={id} />}
      <Fault id={id}>{fault}</Fault>
    </div>
  )
}

export function ValueField({ draft, onChange, fault }: Change & { fault: string | undefined }) {
  const id = useId()
  const isWritten = draft.kind === 'json' || draft.kind === 'text'
  return (
    <div className="grid gap-2">
      <Choice legend="Value" name="value-kind" options={KINDS.map((kind) => [kind, KIND_NAMES[kind]] as const)} chosen={draft.kind} onChoose={(kind) => onChange({ kind })} />
      {isWritten ? (
        <textarea aria-label="Value text" className="input code min-h-64 resize-y py-2 leading-relaxed" value={draft.value} onChange={({ target }) => onChange({ value: target.value })} spellCheck={false} aria-invalid={Boolean(fault) && draft.value !== ''} aria-describedby={id} />
      ) : (
        <p className="text-sm text-soft">{draft.kind === 'empty' ? 'A value of no bytes. It is no tombstone: the key stays.' : 'No value at all: on a compacted topic this removes the key, and of product-updates the product.'}</p>
      )}
      <Fault id={id}>{draft.value === '' ? undefined : fault}</Fault>
    </div>
  )
}

export function HeaderFields({ draft, onChange, fault }: Change & { fault: string | undefined }) {
  const id = useId()
  const set = (nth: number, header: readonly [string, string] | null) => onChange({ headers: header === null ? draft.headers.filter((_, at) => at !== nth) : draft.headers.map((known, at) => (at === nth ? header : known)) })
  return (
    <fieldset className="grid gap-2">
      <legend className="mb-1 text-sm text-soft">Headers</legend>
      {draft.headers.map(([name, value], nth) => (
        // Rows have no identity but their place.
        // oxlint-disable-next-line react/no-array-index-key
        <div key={nth} className="flex gap-2">
          <input aria-label={`Name of header ${nth + 1}`} className="input code" value={name} onChange={({ target }) => set(nth, [target.value, value])} spellCheck={false} aria-invalid={Boolean(fault) && name === ''} aria-describedby={id} />
          <input aria-label={`Value of header ${nth + 1}`} className="input code" value={value} onChange={({ target }) => set(nth, [name, target.value])} spellCheck={false} />
          <button type="button" className="act shrink-0" onClick={() => set(nth, null)} aria-label={`Remove header ${nth + 1}`}>
            <X size={16} aria-hidden />
          </button>
        </div>
      ))}
      <button type="button" className="act justify-self-start" onClick={() => onChange({ headers: [...draft.headers, ['', '']] })}>
        <Plus size={16} aria-hidden />
        Add a header
      </button>
      <Fault id={id}>{fault}</Fault>
    </fieldset>
  )
}
