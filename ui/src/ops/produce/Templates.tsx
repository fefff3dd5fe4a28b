import { useState } from 'react'

import { Failure, Panel } from '../kit/kit'
import type { Draft } from './draft'
import { changeOf, newProduct, TEMPLATES } from './templates'

/** Fills the form with a whole record of the usual kinds; nothing is sent. */
export function Templates({ onDraft }: { onDraft: (draft: Draft) => void }) {
  const [id, setId] = useState<string>('restock')
  const [productId, setProductId] = useState('PROD_0001')
  const [value, setValue] = useState('10')
  const [error, setError] = useState<unknown>(null)
  const template = TEMPLATES.find((known) => known.id === id) ?? TEMPLATES[0]
  const fill = async () => {
    setError(null)
    try {
      onDraft(template.field === null ? newProduct() : await changeOf(productId.trim(), template.field, value))
    } catch (failure) {
      setError(failure)
    }
  }
  return (
    <Panel title="Begin with a template">
      <form
        className="grid gap-3"
        onSubmit={(event) => {
          event.preventDefault()
          void fill()
        }}
      >
        <label className="grid gap-1">
          <span className="text-sm text-soft">Template</span>
          <select
            className="input"
            value={id}
            onChange={({ target }) => {
              setId(target.value)
              setValue(TEMPLATES.find((known) => known.id === target.value)?.fallback ?? '')
            }}
          >
            {TEMPLATES.map((known) => (
              <option key={known.id} value={known.id}>
                {known.name}
              </option>
            ))}
          </select>
        </label>
        {template.field !== null && (
          <div className="grid grid-cols-2 gap-3">
            <label className="grid gap-1">
              <span className="text-sm text-soft">Product</span>
              <input className="input code" value={productId} onChange={({ target }) => setProductId(target.value)} spellCheck={false} required />
            </label>
            <label className="grid gap-1">
              <span className="text-sm text-soft">{template.label}</span>
              <input className="input num" inputMode="decimal" value={value} onChange={({ target }) => setValue(target.value)} required />
            </label>
          </div>
        )}
        <Failure error={error} />
        <button type="submit" className="act justify-self-start">
          Fill the form
        </button>
        <p className="text-sm text-soft">{template.note}</p>
      </form>
    </Panel>
  )
}
