import { useEffect } from 'react'

import { plain } from '../lib/text'

/** Names the page in the browser's tab. */
export function useTitle(title: string): void {
  useEffect(() => {
    document.title = title === '' ? 'KartShoppe' : `${plain(title)} · KartShoppe`
  }, [title])
}
