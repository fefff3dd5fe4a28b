import { Link } from 'wouter'

import type { Flow, FlowEdge, FlowNode } from '../../wire'
import { span } from '../format'
import { NODE, place, SIZE, way } from './layout'
import { counted, isBehind, openOf, passing, waiting } from './state'

/** The picture. Tables below it say the same; what it adds is the shape. */
export function Diagram({ flow }: { flow: Flow }) {
  const places = new Map(flow.nodes.map((node, index) => [node.id, place(node.id, index)]))
  return (
    <svg viewBox={`0 0 ${SIZE.width} ${SIZE.height}`} className="flow h-auto w-full min-w-[60rem]" role="group" aria-label="The way of a purchase, as a picture">
      <defs>
        <marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">
          <path d="M0 0 8 4 0 8z" className="fill-rim" />
        </marker>
      </defs>
      <g aria-hidden="true">
        {flow.edges.map((edge) => {
          const [from, to] = [places.get(edge.from), places.get(edge.to)]
          return from && to ? <Way key={`${edge.from}>${edge.to}`} edge={edge} {...way(from, to)} /> : null
        })}
      </g>
      {flow.nodes.map((node) => {
        const at = places.get(node.id)
        return at && <Node key={node.id} node={node} {...at} />
      })}
    </svg>
  )
}

function Way({ edge, path, label: [x, y] }: { edge: FlowEdge; path: string; label: readonly [number, number] }) {
  const moves = edge.rate !== null && edge.rate > 0
  const behind = isBehind(edge)
  return (
    <g>
      <path d={path} fill="none" strokeWidth={behind ? 3 : 1.5} markerEnd="url(#arrow)" className={behind ? 'stroke-low' : 'stroke-rim'} />
      {moves && <path d={path} fill="none" strokeWidth="3" strokeDasharray="2 14" strokeLinecap="round" className="flow-moves stroke-leaf" />}
      {(moves || behind) && (
        <text x={x} y={y} textAnchor="middle" className={`num flow-figure text-[11px] font-semibold ${behind ? 'fill-low' : 'fill-ink'}`}>
          {moves && passing(edge)}
          {behind && (
            <tspan x={x} dy={moves ? 20 : 0}>
              {waiting(edge, edge.unit)}
            </tspan>
          )}
        </text>
      )}
    </g>
  )
}

const FRAME = {
  running: 'stroke-leaf',
  starting: 'stroke-low',
  standby: 'stroke-back',
  failing: 'stroke-out',
  stopped: 'stroke-out',
  elsewhere: 'stroke-rim',
  unknown: 'stroke-rim',
} as const
const MARK = { ...FRAME, running: 'fill-leaf', starting: 'fill-low', standby: 'fill-back', failing: 'fill-out', stopped: 'fill-out', elsewhere: 'fill-soft', unknown: 'fill-soft' } as const

function Node({ node, x, y }: { node: FlowNode; x: number; y: number }) {
  const isTopic = node.kind === 'topic'
  const bad = node.state === 'failing' || node.state === 'stopped'
  const below = bad || node.state === 'starting' ? node.state : (counted(node) ?? (node.state === 'running' && node.sinceMs !== undefined ? `for ${span(node.sinceMs)}` : node.state))
  return (
    <Link href={openOf(node)} className="flow-node" aria-label={[node.name, node.state, counted(node), node.note].filter(Boolean).join(', ')}>
      <title>{node.note ?? `${node.name}: ${node.state}`}</title>
      <rect x={x} y={y} width={NODE.width} height={NODE.height} rx={isTopic ? NODE.height / 2 : 10} strokeWidth={bad ? 3 : 1.5} strokeDasharray={node.state === 'elsewhere' ? '4 4' : undefined} className={`${isTopic ? 'fill-well' : 'fill-tile'} ${isTopic && !bad ? 'stroke-rim' : FRAME[node.state]}`} />
      {bad && <rect x={x} y={y} width={NODE.width} height={NODE.height} rx={isTopic ? NODE.height / 2 : 10} className="fill-out opacity-10" />}
      <text x={x + NODE.width / 2} y={y + 23} textAnchor="middle" className="fill-ink text-[13px] font-semibold">
        {node.name}
      </text>
      {!isTopic && <circle cx={x + 12} cy={y + 12} r="4" className={MARK[node.state]} />}
      <text x={x + NODE.width / 2} y={y + 40} textAnchor="middle" className={`num text-[11.5px] ${bad ? 'fill-out font-semibold' : 'fill-soft'}`}>
        {below}
      </text>
    </Link>
  )
}
