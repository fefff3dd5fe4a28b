import type { ActorReport, ActorState } from '../../wire'
import type { Tone } from '../kit/kit'

export const TONE: Record<ActorState, Tone> = { running: 'good', failing: 'bad', restarting: 'low', stopped: 'quiet' }

/** The address of an actor's page: its id has slashes. */
export const pageOf = (id: string) => `/actors/${id.split('/').map(encodeURIComponent).join('/')}`

/** The path of an actor's route. */
export const routeOf = (id: string) => `/admin/actors/${id.split('/').map(encodeURIComponent).join('/')}`

export type Branch = { actor: ActorReport; depth: number }

const byName = (a: ActorReport, b: ActorReport) => a.id.localeCompare(b.id, 'en', { numeric: true })

/** Every actor below its supervisor, in the order of ids; one whose supervisor is unknown stands at the top. */
export function tree(actors: ActorReport[]): Branch[] {
  const ids = new Set(actors.map(({ id }) => id))
  const found: Branch[] = []
  const add = (parent: string | null, depth: number) => {
    const children = actors.filter((actor) => (actor.parent !== null && ids.has(actor.parent) ? actor.parent : null) === parent)
    for (const actor of children.toSorted(byName)) {
      found.push({ actor, depth })
      add(actor.id, depth + 1)
    }
  }
  add(null, 0)
  return found
}

/** `3 panic, 1 hung`: why it was restarted. */
export function reasons({ ends }: ActorReport): string {
  return Object.entries(ends)
    .filter(([cause]) => cause !== 'stopped')
    .map(([cause, many]) => `${many} ${cause}`)
    .join(', ')
}
