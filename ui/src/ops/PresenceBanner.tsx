import { useObservable } from '../lib/observable'
import { timeOfDay } from '../lib/time'
import { goneSince, restartedAt } from './presence'

/** Says that the server is gone and since when, and that it was restarted while this page was open. */
export function PresenceBanner() {
  const gone = useObservable(goneSince)
  const restarted = useObservable(restartedAt)
  return (
    <div role="status" aria-label="Connection">
      {gone !== null && (
        <p className="border-b-2 border-out bg-tile px-4 py-2 font-semibold text-out sm:px-6">
          The server has not answered since <span className="num">{timeOfDay(gone)}</span>. This page shows its last data and retries every second.
        </p>
      )}
      {gone === null && restarted !== null && (
        <p className="flex flex-wrap items-center justify-between gap-2 border-b border-line bg-tile px-4 py-1.5 text-sm sm:px-6">
          <span>
            The server was restarted at <span className="num">{timeOfDay(restarted)}</span>. This page now shows the new process.
          </span>
          <button type="button" className="act" onClick={() => restartedAt.set(null)}>
            Dismiss
          </button>
        </p>
      )}
    </div>
  )
}
