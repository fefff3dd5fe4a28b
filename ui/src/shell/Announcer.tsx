import { announcement } from '../lib/announcer'
import { useObservable } from '../lib/observable'

/** The page's one live region: there from the start, polite, never for the grid's ticks. */
export function Announcer() {
  const { text, turn } = useObservable(announcement)
  return (
    <div role="status" aria-live="polite" className="sr-only">
      <span key={turn}>{text}</span>
    </div>
  )
}
