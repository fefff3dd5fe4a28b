/** Where each node stands: column and row. Input runs along the top to the right, output below it back to the left. */
const PLACES: Record<string, readonly [column: number, row: number]> = {
  pages: [0, 0],
  api: [1, 0],
  'order-publisher': [2, 0],
  'order-events': [3, 0],
  sources: [4, 0],
  shards: [5, 0],
  health: [0, 1],
  postgresql: [1, 1],
  'wal-reader': [2, 1],
  'product-updates': [3, 1],
  committer: [5, 1],
  ecommerce_events: [0, 2],
  'cdc-positions': [2, 2],
  others: [3, 2],
  websocket_fanout: [4, 2],
  'dead-letters': [5, 2],
  'shopping-cart-events': [0, 3],
  'fan-out': [1, 3],
  'read-model': [3, 3],
  products: [4, 3],
  'order-tracker': [2, 4],
  'inventory-events': [4, 4],
  'alert-desk': [3, 5],
  'inventory-alerts': [4, 5],
}

export const NODE = { width: 144, height: 54 } as const
const PITCH = { x: 206, y: 88 } as const
const MARGIN = 12
export const SIZE = { width: MARGIN * 2 + PITCH.x * 5 + NODE.width, height: MARGIN * 2 + PITCH.y * 5 + NODE.height } as const

/** A node that the picture does not know yet stands in a row of its own below it. */
export function place(id: string, unknown: number): { x: number; y: number } {
  const [column, row] = PLACES[id] ?? [unknown % 6, 6 + Math.floor(unknown / 6)]
  return { x: MARGIN + column * PITCH.x, y: MARGIN + row * PITCH.y }
}

type Point = readonly [x: number, y: number]

/** A way from node to node, and where its figures stand: in the free space before the node that is nearest to it alone. */
export function way(from: { x: number; y: number }, to: { x: number; y: number }): { path: string; label: Point } {
  const { width, height } = NODE
  if (from.x === to.x) {
    const down = to.y > from.y
    const start: Point = [from.x + width / 2, down ? from.y + height : from.y]
    const end: Point = [to.x + width / 2, down ? to.y : to.y + height]
    return { path: `M${start} L${end}`, label: [start[0] + 4, (start[1] + end[1]) / 2] }
  }
  const right = to.x > from.x
  const start: Point = [right ? from.x + width : from.x, from.y + height / 2]
  const end: Point = [right ? to.x : to.x + width, to.y + height / 2]
  if (from.y === to.y) return { path: `M${start} L${end}`, label: [(start[0] + end[0]) / 2, start[1] - 6] }
  const reach = (right ? 1 : -1) * 52
  const path = `M${start} C${start[0] + reach},${start[1]} ${end[0] - reach},${end[1]} ${end}`
  // To the right and up, several ways end at one node: there is room at their beginning.
  if (right && to.y < from.y) return { path, label: [start[0] + reach * 0.55, start[1] - 6] }
  return { path, label: [end[0] - reach * 0.62, end[1] + (to.y > from.y ? -5 : 12)] }
}
