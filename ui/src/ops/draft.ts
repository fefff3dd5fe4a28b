import { useState } from 'react'

/**
 * Text being typed, until it is sent: begins as `value`, and again when that changes. The field stays the one it was, so that
 * neither the focus nor the place in the text is lost, as it would be with another `key`.
 */
export function useDraft<T>(value: T): [T, (draft: T) => void] {
  const [shown, setShown] = useState(value)
  const [draft, setDraft] = useState(value)
  if (!Object.is(shown, value)) {
    setShown(value)
    setDraft(value)
  }
  return [draft, setDraft]
}
