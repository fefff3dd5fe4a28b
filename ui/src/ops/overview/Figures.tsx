import type { ReactNode } from 'react'

import { usePoll } from '../api'
import { count } from '../../lib/locale'
import { rate } from '../format'
import { Figure } from '../kit/kit'
import { Spark } from '../kit/Spark'
import { rateOf, ratesOf, useLog } from '../topics/topics'
import type { AlertsReport } from './Alerts'

/** The row of figures: what comes in, what comes of it, how far behind. Taken from the ends of the topics, so that nothing is counted twice. */
export function Figures() {
  const { data: log } = useLog()
  const { data: alerts } = usePoll<AlertsReport>('/admin/alerts', 5_000)
  const samples = log?.samples ?? []
  const lag = log?.topics.reduce((sum, topic) => sum + (topic.lag ?? 0), 0)
  const flow = (topic: string): [string, ReactNode] => {
    const now = rateOf(samples, topic)
    return [now === null ? '–' : rate(now), <Spark key={topic} values={ratesOf(samples, topic)} />]
  }
  const [orders, ordersLine] = flow('order-events')
  const [events, eventsLine] = flow('inventory-events')
  return (
    <dl className="grid grid-cols-2 gap-3 xl:grid-cols-4">
      <Figure label="Order items in" value={orders} unit="/s" note={ordersLine} />
      <Figure label="Inventory events out" value={events} unit="/s" note={eventsLine} />
      <Figure label="Inventory is behind by" value={lag === undefined ? '–' : count(lag)} unit={lag === 1 ? 'record' : 'records'} note={lag ? 'waits to be taken' : 'nothing waits'} />
      <Figure label="Open alerts" value={alerts ? count(alerts.open.length) : '–'} note={alerts && `${count(alerts.open.filter(({ alertType }) => alertType === 'OUT_OF_STOCK').length)} out of stock`} />
    </dl>
  )
}
