import type { LiveEnd } from '../../wire'
import { span } from '../format'
import { Badge, Empty, Panel } from './kit'
import { ActorLink } from './links'

/** A product's successor is made by the next command, so the time to it is not measured. */
const isProduct = (actor: string) => actor.startsWith('product/')

/** Actors, products among them, that ended lately: most are back before a state can be seen to change. */
export function NewestEnds({ ends }: { ends: readonly LiveEnd[] | undefined }) {
  return (
    <Panel title="Newest ends" note="of actors and products, each with its cause" flush>
      {ends?.length === 0 && <Empty>No actor has ended.</Empty>}
      {ends === undefined && <Empty>Waiting for the first figures.</Empty>}
      <ul className="divide-y divide-line" data-testid="ends">
        {ends?.map((end, nth) => (
          // The same actor may end several times in a second.
          // oxlint-disable-next-line react/no-array-index-key
          <li key={`${end.actor}/${nth}`} className="flex flex-wrap items-baseline justify-between gap-x-4 px-4 py-2">
            <span className="flex min-w-0 flex-wrap items-baseline gap-x-3">
              <Badge tone={end.cause === 'restarted' ? 'info' : 'bad'}>{end.cause}</Badge>
              <ActorLink id={end.actor} />
            </span>
            <span className="num text-sm text-soft">
              {span(end.agoMs)} ago
              {end.recoveryUs === null ? (isProduct(end.actor) ? '' : ', not back yet') : `, back after ${(end.recoveryUs / 1_000).toFixed(1)} ms`}
            </span>
          </li>
        ))}
      </ul>
    </Panel>
  )
}
