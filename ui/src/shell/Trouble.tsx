import { Refused } from '../api/http'
import { sentence } from '../lib/text'

/** An error of the API in words, with its trace, and a way to ask again. */
export function Trouble({ error, what, onRetry }: { error: Error; what: string; onRetry?: () => void }) {
  const traceId = error instanceof Refused ? error.problem.traceId : null
  return (
    <div className="my-8 max-w-2xl border-l-4 border-out pl-4" role="group" aria-label={what}>
      <h2 className="text-xl font-bold">{what}</h2>
      <p className="mt-1">{sentence(error.message)}</p>
      {traceId && <p className="mt-1 break-all text-[0.95rem] text-soft">Trace {traceId}</p>}
      {onRetry && (
        <button type="button" className="btn-plain mt-4" onClick={onRetry}>
          Try again
        </button>
      )}
    </div>
  )
}
