import { useState } from 'react'
import { Link, useParams } from 'wouter'

import type { ActorEnd, ActorReport } from '../../wire'
import { count } from '../../lib/locale'
import { useObservable } from '../../lib/observable'
import { usePoll, useReadOnly, useWrite } from '../api'
import { span } from '../format'
import { ActionButton, Badge, Confirm, Empty, Failure, Figure, PageFrame, Panel, Scroll } from '../kit/kit'
import { shownProcess } from '../presence'
import { pageOf, reasons, routeOf, TONE } from './actors'

/** `GET /admin/actors/product/ID`. */
type ProductAnswer = {
  shard: number
  product: { id: string; live: boolean; incarnation: number; stock: number; life: number; version: number; lastHeardMs: number; stale: boolean; restarted: boolean }
}

export default function ActorPage() {
  const id = decodeURIComponent(useParams<{ '*': string }>()['*'] ?? '')
  const answer = usePoll<ActorReport | ProductAnswer>(routeOf(id), 1_000)
  const shown = answer.data
  return (
    <PageFrame
      title={id}
      lead={
        <Link href="/actors" className="link">
          All actors
        </Link>
      }
      actions={shown && <Actions key={id} id={id} incarnation={'product' in shown ? shown.product.incarnation : shown.incarnation} isIdle={'product' in shown && !shown.product.live} />}
    >
      <Failure error={answer.error} what={id} />
      {shown && ('product' in shown ? <Product answer={shown} /> : <Actor actor={shown} />)}
    </PageFrame>
  )
}

function Actor({ actor }: { actor: ActorReport }) {
  return (
    <>
      <dl className="grid grid-cols-2 gap-3 md:grid-cols-3 xl:grid-cols-6">
        <Figure label="State" value={<Badge tone={TONE[actor.state]}>{actor.state}</Badge>} note={actor.sinceMs === null ? 'never started' : `for ${span(actor.sinceMs)}`} />
        <Figure label="Incarnation" value={count(actor.incarnation)} note={reasons(actor) || 'never restarted'} />
        <Figure label="Mailbox" value={count(actor.mailboxDepth)} note="messages wait" />
        <Figure label="Present message" value={actor.handlingMs === null ? 'idle' : span(actor.handlingMs)} note={`${count(actor.handled)} handled`} />
        <Figure label="Last recovery" value={actor.lastRecoveryUs === null ? '–' : span(actor.lastRecoveryUs / 1_000)} note="from its end to its successor" />
        <Figure label="Supervised by" value={actor.parent === null ? '–' : <Link href={pageOf(actor.parent)} className="link text-base">{actor.parent}</Link>} note={actor.kind} />
      </dl>
      <Ends ends={actor.lastEnds} />
    </>
  )
}

function Ends({ ends }: { ends: ActorEnd[] }) {
  return (
    <Panel title="Last ends" note="the newest first" flush>
      {ends.length === 0 ? (
        <Empty>It has never ended.</Empty>
      ) : (
        <Scroll label="Last ends">
          <table className="tbl">
            <thead>
              <tr>
                <th className="right">Ago</th>
                <th className="right">Incarnation</th>
                <th>Cause</th>
                <th>What it said</th>
                <th className="right">Back after</th>
              </tr>
            </thead>
            <tbody>
              {ends.map((end, index) => (
                <tr key={`${end.incarnation}/${ends.length - index}`}>
                  <td className="right">{span(end.agoMs)}</td>
                  <td className="right">{count(end.incarnation)}</td>
                  <td>
                    <Badge tone={end.cause === 'restarted' || end.cause === 'stopped' ? 'info' : 'bad'}>{end.cause}</Badge>
                  </td>
                  <td className="code min-w-64 break-words">{end.reason}</td>
                  <td className="right">{end.recoveryUs === null ? '' : span(end.recoveryUs / 1_000)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </Scroll>
      )}
    </Panel>
  )
}

function Product({ answer: { shard, product } }: { answer: ProductAnswer }) {
  return (
    <dl className="grid grid-cols-2 gap-3 md:grid-cols-3 xl:grid-cols-6">
      <Figure label="Actor" value={<Badge tone={product.live ? 'good' : 'quiet'}>{product.live ? 'live' : 'passive'}</Badge>} note={product.live ? 'it owns the stock' : 'the next command makes one'} />
      <Figure label="Incarnation" value={count(product.incarnation)} note={product.restarted ? 'restarted lately' : 'since its shard read it'} />
      <Figure label="Stock" value={count(product.stock)} note={product.stale ? 'stale' : 'units'} />
      <Figure label="Version" value={count(product.version)} note={`lifetime ${product.life}`} />
      <Figure label="Last heard of" value={new Date(product.lastHeardMs).toLocaleTimeString()} note={new Date(product.lastHeardMs).toLocaleDateString()} />
      <Figure label="Supervised by" value={<Link href={pageOf(`shard/${shard}`)} className="link inline-block py-0.5 text-base">shard/{shard}</Link>} note={<Link href={`/products/${encodeURIComponent(product.id)}`} className="link inline-block py-1">its history</Link>} />
    </dl>
  )
}

const FAULTS = [
  ['kill', 'ends it without notice'],
  ['panic', 'its next message panics'],
  ['error', 'its next message fails'],
  ['hang', 'its next message never ends, until the watchdog acts'],
  ['slow', 'its next message takes longer'],
] as const

function Actions({ id, incarnation, isIdle }: { id: string; incarnation: number; isIdle: boolean }) {
  const [asked, setAsked] = useState(false)
  /** The incarnation that was asked to go: the button rests until it has gone. */
  const [leaving, setLeaving] = useState<number | null>(null)
  const write = useWrite()
  const readOnly = useReadOnly()
  const isProduct = id.startsWith('product/')
  const reason = id === 'root' ? 'The root cannot be restarted: with it the process would end.' : isIdle ? 'It has no actor just now.' : readOnly
  const waits = leaving !== null && leaving === incarnation && !write.isError && !(isProduct && write.isSuccess)
  const restart = () => {
    setAsked(false)
    setLeaving(incarnation)
    write.mutate({ path: `${routeOf(id)}/restart`, timeoutMs: 150_000 })
  }
  return (
    <>
      <Break id={id} />
      <ActionButton main reason={reason} busy={waits || write.isPending} onClick={() => setAsked(true)}>
        {waits || write.isPending ? 'Restarting…' : 'Restart'}
      </ActionButton>
      <span role="status" className="w-full text-right text-sm text-soft empty:hidden">
        {leaving !== null && leaving < incarnation ? `Incarnation ${leaving} gave way to ${incarnation}.` : ''}
      </span>
      <Failure error={write.error} what="Restart" />
      <Confirm open={asked} title={`Restart ${id}?`} action="Restart" risky={id.startsWith('role/') || id === 'http-listener'} onYes={restart} onNo={() => setAsked(false)}>
        <p>It stops in order, and its supervisor starts the next incarnation. That counts as no failure.</p>
        {id.startsWith('role/') && <p className="mt-2">All its parts stop and start with it.</p>}
        {id === 'http-listener' && <p className="mt-2">Pages of shoppers are disconnected for a moment.</p>}
      </Confirm>
    </>
  )
}

/** Faults, where they are enabled; else why not. */
function Break({ id }: { id: string }) {
  const [fault, setFault] = useState<string>('kill')
  const write = useWrite<{ struck: number }>()
  const readOnly = useReadOnly()
  const process = useObservable(shownProcess)
  const faults = process?.faults
  const reason = readOnly ?? (id === 'root' ? 'Faults do not strike the root.' : faults && !faults.allowed ? (faults.reason ?? 'Faults are not enabled.') : null)
  return (
    <span className="flex flex-wrap items-center gap-2">
      <select className="input w-auto" aria-label="How to break it" value={fault} onChange={(event) => setFault(event.target.value)} disabled={reason !== null}>
        {FAULTS.map(([value, what]) => (
          <option key={value} value={value} title={what}>
            {value}
          </option>
        ))}
      </select>
      <ActionButton risky reason={reason} busy={write.isPending} onClick={() => write.mutate({ path: '/admin/faults', body: { target: id, fault, count: 1, ttl: '30s' } })}>
        Break
      </ActionButton>
      <span role="status" className="text-sm text-soft">
        {reason !== null && id !== 'root' ? reason : write.isSuccess ? (write.data.struck > 0 ? 'Struck.' : `It waits for its next message, for 30 s: ${FAULTS.find(([value]) => value === fault)?.[1]}.`) : ''}
      </span>
      <Failure error={write.error} what="Break" />
    </span>
  )
}
