import { useState } from 'react'
import { Link } from 'wouter'

import { announce } from '../../lib/announcer'
import { useReadOnly, useWrite } from '../api'
import { ActionButton, Badge, Confirm, Failure, Panel, Scroll, type Tone } from '../kit/kit'
import { ROLE_NOTES, useRoles, type Role } from './roles'

/** The roles of this process. A stop says what it will stop; the button follows the state until it has changed. */
export function Roles() {
  const roles = useRoles()
  return (
    <Panel title="Roles" flush>
      <Failure error={roles.error} what="Roles" />
      <Scroll label="Roles">
        <table className="tbl">
          <thead>
            <tr>
              <th>Role</th>
              <th>State</th>
              <th>Parts</th>
              <th>
                <span className="sr-only">Actions</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {roles.data?.map((role) => (
              <RoleRow key={role.name} role={role} />
            ))}
          </tbody>
        </table>
      </Scroll>
    </Panel>
  )
}

function RoleRow({ role }: { role: Role }) {
  const write = useWrite<Role>()
  const readOnly = useReadOnly()
  const [asking, setAsking] = useState(false)
  /** The state that was asked for and has not been seen yet. */
  const [wanted, setWanted] = useState<'running' | 'stopped' | null>(null)
  if (wanted === role.state) setWanted(null)
  const order = (what: 'start' | 'stop') => {
    setAsking(false)
    setWanted(what === 'start' ? 'running' : 'stopped')
    write.mutate({ path: `/admin/roles/${role.name}/${what}` }, { onSuccess: ({ state }) => announce(`The role ${role.name} is ${state}.`), onError: () => setWanted(null) })
  }
  const notes = ROLE_NOTES[role.name]
  const parts = role.children
  const troubled = parts.filter((part) => part.failing || part.state !== 'running')
  return (
    <tr data-role={role.name}>
      <td>
        <span className="font-semibold">{role.name}</span>
        <span className="block max-w-xs text-sm text-soft">{notes?.does}</span>
        <Failure error={write.error} what={role.name} />
      </td>
      <td>
        <Badge tone={toneOf(role)}>{wanted === null ? (role.failing ? 'failing' : role.state) : wanted === 'stopped' ? 'stopping…' : 'starting…'}</Badge>
        {role.state === 'stopped' && role.stoppedBy && <span className="block text-sm text-soft">by {role.stoppedBy}</span>}
      </td>
      <td>
        {parts.length === 0 ? (
          <span className="text-soft">none</span>
        ) : troubled.length === 0 ? (
          <Link className="link num" href="/actors">
            {parts.length} running
          </Link>
        ) : (
          <ul className="text-sm">
            {troubled.map((part) => (
              <li key={part.id}>
                <Link className="link" href={`/actors/${part.id}`}>
                  {part.id}
                </Link>{' '}
                {part.failing ? 'keeps failing' : `is ${part.state}`}
              </li>
            ))}
          </ul>
        )}
      </td>
      <td className="text-right">
        {role.state === 'stopped' ? (
          <ActionButton main reason={readOnly} busy={wanted !== null} aria-label={`Start ${role.name}`} onClick={() => order('start')}>
            {wanted === null ? 'Start' : 'Starting…'}
          </ActionButton>
        ) : (
          <ActionButton risky reason={readOnly} busy={wanted !== null} aria-label={`Stop ${role.name}`} onClick={() => setAsking(true)}>
            {wanted === null ? 'Stop' : wanted === 'stopped' ? 'Stopping…' : 'Starting…'}
          </ActionButton>
        )}
        <Confirm open={asking} title={`Stop the role ${role.name}?`} action={`Stop ${role.name}`} onYes={() => order('stop')} onNo={() => setAsking(false)}>
          <p>{notes?.stops}</p>
          {parts.length > 0 && <p className="mt-2">It stops {parts.map(({ id }) => id).join(', ')}.</p>}
        </Confirm>
      </td>
    </tr>
  )
}

function toneOf(role: Role): Tone {
  if (role.failing) return 'bad'
  return role.state === 'running' ? 'good' : role.state === 'stopped' ? 'quiet' : 'low'
}
