import { expect, test } from 'vitest'

import type { FlowNode, NodeState } from '../../wire'
import { rolesAway } from './state'

const node = (id: string, role: string | null, state: NodeState, note?: string): FlowNode => ({ id, name: id, kind: role === null ? 'outside' : 'part', role, actors: [], state, ...(note ? { note } : {}) })

test('a role is away when none of its parts runs here', () => {
  const api = node('api', 'api', 'running')
  expect(rolesAway([api, node('postgresql', null, 'stopped')])).toEqual([])
  expect(rolesAway([api, node('shards', 'inventory', 'stopped', 'stopped by eve'), node('committer', 'inventory', 'stopped', 'stopped by eve'), node('wal-reader', 'cdc', 'elsewhere')])).toEqual([
    { role: 'inventory', state: 'stopped', by: 'eve' },
    { role: 'cdc', state: 'elsewhere' },
  ])
  expect(rolesAway([node('shards', 'inventory', 'stopped'), node('committer', 'inventory', 'starting')])).toEqual([])
})
