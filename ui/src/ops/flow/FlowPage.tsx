import { useMemo } from 'react'
import { Link } from 'wouter'

import type { Flow, FlowEdge, FlowNode, Live, LiveRole } from '../../wire'
import { usePoll } from '../api'
import { span } from '../format'
import { Badge, Empty, Failure, PageFrame, Panel, Scroll } from '../kit/kit'
import { NewestEnds } from '../kit/NewestEnds'
import { useLive } from '../live'
import { Diagram } from './Diagram'
import { counted, isBehind, openOf, passing, rolesAway, TONE, waiting } from './state'

/** The picture with the newest figures, which come in its order. */
function withFigures(picture: Flow, live: Live | null): Flow {
  if (live === null || live.nodes.length !== picture.nodes.length || live.edges.length !== picture.edges.length) return picture
  const { nodes, edges } = live
  const node = ({ id, name, kind, role, actors }: FlowNode, index: number): FlowNode => ({ name, kind, role, actors, ...(nodes[index] ?? { id, state: 'unknown' }) })
  return { nodes: picture.nodes.map(node), edges: picture.edges.map((edge, index) => ({ ...edge, ...edges[index] })) }
}

export default function FlowPage() {
  const picture = usePoll<Flow>('/admin/flow', 0)
  const live = useLive()
  const flow = useMemo(() => (picture.data ? withFigures(picture.data, live) : null), [picture.data, live])
  return (
    <PageFrame title="Flow" lead="The way of a purchase, from page to page: what passes each step per second, what waits before it, and how each part is.">
      <Failure error={picture.error} what="The flow" />
      {flow && (
        <>
          <Troubles nodes={flow.nodes} roles={live?.roles ?? []} />
          <section aria-label="Picture" className="panel max-md:hidden">
            <Scroll label="Picture of the flow" className="p-3">
              <Diagram flow={flow} />
            </Scroll>
          </section>
          <div className="grid items-start gap-5 xl:grid-cols-2">
            <Nodes nodes={flow.nodes} />
            <div className="grid gap-5">
              <NewestEnds ends={live?.ends} />
              <Edges flow={flow} />
            </div>
          </div>
        </>
      )}
      {!flow && !picture.error && <Empty>Measuring the flow; this takes a second.</Empty>}
    </PageFrame>
  )
}

/** What does not work, before anything else. */
function Troubles({ nodes, roles }: { nodes: FlowNode[]; roles: LiveRole[] }) {
  const bad = nodes.filter(({ state }) => state === 'failing' || state === 'stopped' || state === 'starting')
  const away = rolesAway(nodes, roles)
  return (
    <div role="status" className="flex flex-wrap gap-x-5 gap-y-1">
      {bad.length === 0 && <Badge tone="good">{away.length === 0 ? 'Every part runs' : 'Every part of this process runs'}</Badge>}
      {away.map(({ role, state, by }) => (
        <span key={role}>
          <Badge tone={TONE[state]}>{state === 'stopped' ? `The role ${role} is stopped on purpose` : `The role ${role} was not started in this process`}</Badge>
          {by && <span className="text-soft"> by {by}</span>}
        </span>
      ))}
      {bad.map((node) => (
        <span key={node.id}>
          <Badge tone={TONE[node.state]}>
            {node.name} {node.state === 'failing' ? 'fails' : node.state === 'stopped' ? 'is stopped' : 'starts'}
          </Badge>
          {node.note && node.state !== 'stopped' && <span className="text-soft"> {node.note}</span>}
        </span>
      ))}
    </div>
  )
}

function Nodes({ nodes }: { nodes: FlowNode[] }) {
  return (
    <Panel title="Parts and topics" flush>
      <Scroll label="Parts and topics">
        <table className="tbl">
          <thead>
            <tr>
              <th>Part</th>
              <th>State</th>
              <th className="right">For</th>
              <th className="right">Holds</th>
            </tr>
          </thead>
          <tbody>
            {nodes.map((node) => (
              <tr key={node.id}>
                <td className="whitespace-nowrap">
                  <Link href={openOf(node)} className="link">
                    {node.name}
                  </Link>
                </td>
                <td>
                  <Badge tone={TONE[node.state]}>{node.state}</Badge>
                  {node.note && <span className="block min-w-40 text-sm text-soft">{node.note}</span>}
                </td>
                <td className="right">{node.sinceMs === undefined ? '' : span(node.sinceMs)}</td>
                <td className="right">{counted(node)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </Scroll>
    </Panel>
  )
}

function Edges({ flow: { nodes, edges } }: { flow: Flow }) {
  const name = (id: string) => nodes.find((node) => node.id === id)?.name ?? id
  const row = (edge: FlowEdge) => (
    <tr key={`${edge.from}>${edge.to}`}>
      <td className="min-w-44">
        {name(edge.from)} → {name(edge.to)}
        <span className="block text-sm text-soft">{edge.carries}</span>
      </td>
      <td className="right">{passing(edge)}</td>
      <td className="right">{isBehind(edge) ? <Badge tone="low">{waiting(edge, edge.unit)}</Badge> : (waiting(edge, edge.unit) ?? (edge.lag === 0 ? 'none' : ''))}</td>
    </tr>
  )
  return (
    <Panel title="What passes" flush>
      <Scroll label="What passes">
        <table className="tbl">
          <thead>
            <tr>
              <th>From, to</th>
              <th className="right">Per second</th>
              <th className="right">Lag</th>
            </tr>
          </thead>
          <tbody>{edges.map(row)}</tbody>
        </table>
      </Scroll>
    </Panel>
  )
}
