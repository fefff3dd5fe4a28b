import { Link } from 'wouter'

import { count } from '../../lib/locale'
import { plain } from '../../lib/text'
import { usePoll } from '../api'
import { Empty, Failure, Panel } from '../kit/kit'
import { NewestEnds } from '../kit/NewestEnds'
import { useLive } from '../live'

type Actor = { id: string; kind: string; running: boolean; incarnation: number; ends: Record<string, number>; lastFailure: string | null; lastRecoveryUs: number | null }

const SHOWN = 8

/** Ends that were not requested. */
function failures(actor: Actor): number {
  return Object.entries(actor.ends).reduce((sum, [cause, many]) => sum + (cause === 'stopped' || cause === 'restarted' ? 0 : many), 0)
}

/** What ended lately, and the actors that failed and were started again, those with the most failures first. */
export function Restarts() {
  const live = useLive()
  return (
    <>
      <NewestEnds ends={live?.ends} />
      <MostFailures />
    </>
  )
}

function MostFailures() {
  const { data, error } = usePoll<Actor[]>('/admin/actors', 5_000)
  const restarted = (data ?? []).filter((actor) => failures(actor) > 0).toSorted((one, other) => failures(other) - failures(one))
  return (
    <Panel title="Most failures" note="of actors, since the process began" flush>
      <Failure error={error} what="Actors" />
      {data && restarted.length === 0 && <Empty>No actor has failed.</Empty>}
      <ul className="divide-y divide-line">
        {restarted.slice(0, SHOWN).map((actor) => (
          <li key={actor.id} className="px-4 py-2">
            <div className="flex flex-wrap items-baseline justify-between gap-x-4">
              <Link className="link font-semibold" href={`/actors/${actor.id}`}>
                {actor.id}
              </Link>
              <span className="num text-sm text-soft">
                {Object.entries(actor.ends)
                  .map(([cause, many]) => `${count(many)} × ${cause}`)
                  .join(', ')}
                {actor.lastRecoveryUs !== null && `; back after ${(actor.lastRecoveryUs / 1_000).toFixed(1)} ms`}
              </span>
            </div>
            {actor.lastFailure && <p className="text-sm text-soft">{plain(actor.lastFailure)}</p>}
          </li>
        ))}
      </ul>
    </Panel>
  )
}
