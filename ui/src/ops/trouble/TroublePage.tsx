import { Link } from 'wouter'

import { dateAndTime } from '../../lib/time'
import { usePoll } from '../api'
import { Badge, Empty, Failure, PageFrame, Panel, Scroll } from '../kit/kit'
import { ActorLink } from '../kit/links'
import { DeadLetters } from './DeadLetters'

type Alerts = { open: { productId: string; alertType: string; severity: string; message: string; timestamp: number }[] }
type Stranded = { orderId: string; orderItemId: string; productId: string; quantity: number; expiredAt: number }
type Rescue = { waiting: { wal: number; direct: number; expired: number; stranded: number }; gaps: { partition: number; reason: string; noticedAt: number }[]; stranded: Stranded[] }
type Role = { name: string; failing: boolean; children: { id: string; failing: boolean }[] }

export default function TroublePage() {
  return (
    <PageFrame title="Trouble" lead="What needs attention: roles and actors that keep failing, items without an outcome, records that could not be used, products that run low.">
      <Failing />
      <DeadLetters />
      <Waiting />
      <OpenAlerts />
    </PageFrame>
  )
}

function Failing() {
  const roles = usePoll<Role[]>('/admin/roles')
  const failing = roles.data?.flatMap(({ name, failing: isFailing, children }) => [{ id: `role/${name}`, failing: isFailing }, ...children]).filter((actor) => actor.failing) ?? []
  return (
    <Panel title="Failing actors" note="A command that fails again when it is sent alone is a dead letter." flush>
      <Failure error={roles.error} what="Roles" />
      {failing.length === 0 ? (
        <Empty>{roles.data ? 'No actor keeps failing.' : 'Reading the roles.'}</Empty>
      ) : (
        <ul className="grid gap-2 p-4">
          {failing.map(({ id }) => (
            <li key={id}>
              <Badge tone="bad">keeps failing</Badge> <ActorLink id={id} />
            </li>
          ))}
        </ul>
      )}
    </Panel>
  )
}

function Waiting() {
  const rescue = usePoll<Rescue>('/admin/rescue', 5_000)
  const stranded = rescue.data?.stranded ?? []
  const waiting = rescue.data?.waiting
  return (
    <Panel title="Items without an outcome" note={waiting && `${waiting.direct} direct, ${waiting.wal} from the WAL, ${waiting.expired} being rescued, ${waiting.stranded} stranded`} flush>
      <Failure error={rescue.error} what="Items" />
      {stranded.length === 0 ? (
        <Empty>No item is stranded.</Empty>
      ) : (
        <Scroll label="Stranded items">
          <table className="tbl">
            <thead>
              <tr>
                <th>Order</th>
                <th>Product</th>
                <th className="right">Units</th>
                <th className="right">Expired</th>
              </tr>
            </thead>
            <tbody>
              {stranded.map((item) => (
                <tr key={item.orderItemId}>
                  <td className="code">
                    <Link href={`/orders/${encodeURIComponent(item.orderId)}`} className="link">
                      {item.orderId}
                    </Link>
                  </td>
                  <td>{item.productId}</td>
                  <td className="right">{item.quantity}</td>
                  <td className="right">{dateAndTime(item.expiredAt)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </Scroll>
      )}
    </Panel>
  )
}

function OpenAlerts() {
  const alerts = usePoll<Alerts>('/admin/alerts', 5_000)
  const open = alerts.data?.open ?? []
  return (
    <Panel title="Open alerts" note={`${open.length} products`} flush>
      <Failure error={alerts.error} what="Alerts" />
      {open.length === 0 ? (
        <Empty>{alerts.data ? 'No product runs low.' : 'Reading the alerts.'}</Empty>
      ) : (
        <Scroll label="Open alerts" className="max-h-96 overflow-y-auto">
          <table className="tbl">
            <thead>
              <tr>
                <th>Product</th>
                <th>Severity</th>
                <th>Alert</th>
                <th className="right">Since</th>
              </tr>
            </thead>
            <tbody>
              {open.map((alert) => (
                <tr key={alert.productId}>
                  <td>
                    <Link href={`/products/${encodeURIComponent(alert.productId)}`} className="link">
                      {alert.productId}
                    </Link>
                  </td>
                  <td>
                    <Badge tone={alert.severity === 'CRITICAL' ? 'bad' : 'low'}>{alert.severity.toLowerCase()}</Badge>
                  </td>
                  <td>{alert.message}</td>
                  <td className="right">{dateAndTime(alert.timestamp)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </Scroll>
      )}
    </Panel>
  )
}
