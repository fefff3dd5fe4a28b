import { expect, test } from 'vitest'

import type { FlowNode, LiveRole, NodeState } from '../../wire'
import { rolesAway } from './state'

const node = (id: string, role: string | null, state: NodeState): FlowNode => ({ id, name: id, kind: role === null ? 'outside' : 'part', role, actors: [], state })
const stopped = (name: string, stoppedBy: string): LiveRole => ({ name, state: 'stopped', sinceMs: 1, incarnation: 1, running: 0, actors: 2, stoppedBy })

test('a role is away when none of its parts runs here', () => {
  const api = node('api', 'api', 'running')
  expect(rolesAway([api, node('postgresql', null, 'stopped')], [])).toEqual([])
  expect(rolesAway([api, node('shards', 'inventory', 'stopped'), node('committer', 'inventory', 'stopped'), node('wal-reader', 'cdc', 'elsewhere')], [stopped('inventory', 'eve')])).toEqual([
    { role: 'inventory', state: 'stopped', by: 'eve' },
    { role: 'cdc', state: 'elsewhere' },
  ])
  expect(rolesAway([node('shards', 'inventory', 'stopped'), node('committer', 'inventory', 'starting')], [stopped('inventory', 'eve')])).toEqual([])
})
