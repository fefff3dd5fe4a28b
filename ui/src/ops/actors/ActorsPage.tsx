import { useState, type FormEvent } from 'react'
import { Link, useLocation } from 'wouter'

import type { ActorReport } from '../../wire'
import { count } from '../../lib/locale'
import { usePoll } from '../api'
import { span } from '../format'
import { Badge, Empty, Failure, PageFrame, Panel, Scroll } from '../kit/kit'
import { useParam } from '../params'
import { pageOf, reasons, TONE, tree } from './actors'

const TOPS = [
  ['', 'Tree'],
  ['depth', 'Deepest mailbox'],
  ['age', 'Longest at one message'],
  ['restarts', 'Most restarts'],
] as const

export default function ActorsPage() {
  const [top, setTop] = useParam('top')
  const [kind, setKind] = useParam('kind')
  const actors = usePoll<ActorReport[]>(top === '' ? '/admin/actors' : `/admin/actors?top=${top}&limit=50`, 2_000)
  const all = actors.data ?? []
  const branches = top === '' && kind === '' ? tree(all) : all.filter((actor) => kind === '' || actor.kind === kind).map((actor) => ({ actor, depth: 0 }))
  const kinds = [...new Set(all.map((actor) => actor.kind))].toSorted()
  return (
    <PageFrame title="Actors" lead="The supervision tree and the state of each actor. Reading these figures sends no message to an actor." actions={<FindProduct />}>
      <div className="flex flex-wrap items-center gap-2">
        <div role="group" aria-label="Order" className="flex flex-wrap gap-2">
          {TOPS.map(([value, name]) => (
            <button key={value} type="button" className={top === value ? 'act-main' : 'act'} aria-pressed={top === value} onClick={() => setTop(value)}>
              {name}
            </button>
          ))}
        </div>
        <label className="ml-auto flex items-center gap-2 text-sm">
          Kind
          <select className="input w-auto" value={kind} onChange={(event) => setKind(event.target.value)}>
            <option value="">all</option>
            {[...new Set([...kinds, ...(kind === '' ? [] : [kind])])].map((name) => (
              <option key={name}>{name}</option>
            ))}
          </select>
        </label>
      </div>
      <Failure error={actors.error} what="Actors" />
      <Panel title={TOPS.find(([value]) => value === top)?.[1] ?? 'Actors'} note={`${branches.length} actors; products have no entry of their own`} flush>
        <Scroll label="Actors">
          <table className="tbl">
            <thead>
              <tr>
                <th>Actor</th>
                <th>State</th>
                <th className="right">For</th>
                <th className="right">Incarnation</th>
                <th className="right">Waiting</th>
                <th className="right">At this message</th>
                <th>Restarts</th>
              </tr>
            </thead>
            <tbody>
              {branches.map(({ actor, depth }) => (
                <Row key={actor.id} actor={actor} depth={depth} />
              ))}
            </tbody>
          </table>
          {branches.length === 0 && <Empty>{actors.isPending ? 'Loading…' : top === '' ? 'No actor of this kind.' : 'None.'}</Empty>}
        </Scroll>
      </Panel>
    </PageFrame>
  )
}

/** By depth below the root. */
const INDENT = ['ml-1', 'ml-7', 'ml-14'] as const

function Row({ actor, depth }: { actor: ActorReport; depth: number }) {
  return (
    <tr>
      <td className="whitespace-nowrap">
        {depth > 0 && (
          <span aria-hidden className={`mr-1.5 text-rim ${INDENT[Math.min(depth, INDENT.length) - 1]}`}>
            └
          </span>
        )}
        <Link href={pageOf(actor.id)} className="link font-semibold">
          {actor.id}
        </Link>
      </td>
      <td>
        <Badge tone={TONE[actor.state]}>{actor.state}</Badge>
      </td>
      <td className="right">{actor.sinceMs === null ? 'never' : span(actor.sinceMs)}</td>
      <td className="right">{count(actor.incarnation)}</td>
      <td className="right">{count(actor.mailboxDepth)}</td>
      <td className="right">{actor.handlingMs === null ? 'idle' : span(actor.handlingMs)}</td>
      <td>{reasons(actor) || <span className="text-soft">none</span>}</td>
    </tr>
  )
}

function FindProduct() {
  const [id, setId] = useState('')
  const [, go] = useLocation()
  const find = (event: FormEvent) => {
    event.preventDefault()
    if (id.trim() !== '') go(pageOf(`product/${id.trim()}`))
  }
  return (
    <form role="search" onSubmit={find} className="flex gap-2">
      <input className="input" aria-label="Product id" placeholder="PROD_0001" value={id} onChange={(event) => setId(event.target.value)} />
      <button className="act whitespace-nowrap">Open product</button>
    </form>
  )
}
