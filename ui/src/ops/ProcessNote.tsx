import { useState } from 'react'

import { useNow } from '../lib/now'
import { operatorName, setOperatorName } from './api'
import { span } from './format'
import type { Process } from './presence'

/** Which process is shown, since when it runs, and under which name this operator changes things. */
export function ProcessNote({ process }: { process: Process }) {
  const now = useNow(1_000)
  const [name, setName] = useState(operatorName)
  return (
    <div className="mt-5 grid gap-3 border-t border-line px-2.5 pt-4 text-sm">
      <dl className="grid grid-cols-[auto_1fr] gap-x-3 gap-y-0.5">
        <dt className="text-soft">Process</dt>
        <dd className="num">{process.instance}</dd>
        <dt className="text-soft">Up</dt>
        <dd className="num">{span(Math.max(0, now - process.startedAtMs))}</dd>
        <dt className="text-soft">Log</dt>
        <dd>{process.log}</dd>
        <dt className="text-soft">Version</dt>
        <dd className="num">{process.version}</dd>
      </dl>
      {process.peers.length > 0 && (
        <div>
          <h2 className="text-soft">Other processes</h2>
          <ul>
            {process.peers.map((peer) => (
              <li key={peer}>
                <a className="link" href={peer}>
                  {peer.replace(/^https?:\/\//, '')}
                </a>
              </li>
            ))}
          </ul>
        </div>
      )}
      {!process.writes.allowed && <p className="text-low">Read-only: {process.writes.reason}.</p>}
      <label className="grid gap-1">
        <span className="text-soft">Acting as</span>
        <input
          className="input"
          value={name}
          maxLength={60}
          autoComplete="off"
          spellCheck={false}
          onChange={({ target }) => {
            setName(target.value)
            setOperatorName(target.value)
          }}
        />
      </label>
      <p className="flex flex-wrap gap-x-3 gap-y-1">
        <a className="link" href={process.shop}>
          Shop
        </a>
        <a className="link" href="/docs/">
          API
        </a>
      </p>
    </div>
  )
}
