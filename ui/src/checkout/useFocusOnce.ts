import { useEffect, useRef } from 'react'

/** Gives an element the focus when it appears. */
export function useFocusOnce<T extends HTMLElement>() {
  const element = useRef<T>(null)
  useEffect(() => element.current?.focus(), [])
  return element
}
