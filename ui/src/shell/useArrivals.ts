import { useEffect, useRef } from 'react'

import { cartDrawer } from '../cart/drawer'
import { usePathname } from '../lib/address'
import { track } from '../track/track'

/** On every new page: focus and reading start at its content, the view at its top (unless the browser went back), and it is tracked. */
export function useArrivals(): void {
  const path = usePathname()
  const first = useRef(true)
  const wentBack = useRef(false)

  useEffect(() => {
    const note = () => {
      wentBack.current = true
    }
    addEventListener('popstate', note)
    return () => removeEventListener('popstate', note)
  }, [])

  useEffect(() => {
    track('PAGE_VIEW', { page: path })
    if (first.current) {
      first.current = false
      return
    }
    cartDrawer.set(false)
    document.getElementById('main')?.focus({ preventScroll: true })
    if (!wentBack.current) scrollTo({ top: 0, behavior: 'instant' })
    wentBack.current = false
  }, [path])
}
