import type { EdgeFigures, FlowEdge, FlowNode, LiveRole, NodeState } from '../../wire'
import { bytes, rate } from '../format'
import type { Tone } from '../kit/kit'
import { linkTo } from '../params'
import { count } from '../../lib/locale'

export const TONE: Record<NodeState, Tone> = {
  running: 'good',
  starting: 'low',
  standby: 'info',
  failing: 'bad',
  stopped: 'bad',
  elsewhere: 'quiet',
  unknown: 'quiet',
}

/** What is shown of a node opens there. */
export function openOf(node: FlowNode): string {
  if (node.kind === 'topic') return linkTo('/inspect', { topics: node.id })
  if (node.id === 'wal-reader' || node.id === 'postgresql') return '/wal'
  if (node.id === 'others') return '/produce'
  const kind = node.actors[0] ?? 'http-listener'
  return linkTo('/actors', { kind })
}

const COUNTED: Record<string, string> = { pages: 'connected', shards: 'live products' }

export function counted(node: FlowNode): string | null {
  if (node.count === undefined) return null
  return `${count(node.count)} ${node.kind === 'topic' ? 'records' : (COUNTED[node.id] ?? '')}`
}

/** Records that wait; null where nothing waits or it is not known. */
export function waiting({ lag }: EdgeFigures, unit: string): string | null {
  if (lag === null || lag === 0) return null
  return unit === 'bytes' ? bytes(lag) : `${count(lag)} wait`
}

export function passing({ rate: perSecond }: EdgeFigures): string {
  return perSecond === null ? '–' : `${rate(perSecond)}/s`
}

/** A few bytes of WAL are always on their way. */
export function isBehind(edge: FlowEdge): boolean {
  return edge.lag !== null && edge.lag > (edge.unit === 'bytes' ? 1_048_576 : 0)
}

export type RoleAway = { role: string; state: 'stopped' | 'elsewhere'; by?: string }

/** The roles that do not run in this process: stopped on purpose, and by whom, or never started here. */
export function rolesAway(nodes: readonly FlowNode[], roles: readonly LiveRole[]): RoleAway[] {
  const names = [...new Set(nodes.flatMap(({ role }) => role ?? []))]
  return names.flatMap((role) => {
    const parts = nodes.filter((node) => node.role === role)
    const state = parts[0]?.state
    if ((state !== 'stopped' && state !== 'elsewhere') || parts.some((part) => part.state !== state)) return []
    const by = roles.find(({ name }) => name === role)?.stoppedBy
    return [{ role, state, ...(by === undefined ? {} : { by }) }]
  })
}
