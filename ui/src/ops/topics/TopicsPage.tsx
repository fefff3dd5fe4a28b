import { ChevronDown, ChevronRight } from 'lucide-react'
import { Fragment } from 'react'
import { Link } from 'wouter'

import { useNow } from '../../lib/now'
import { count } from '../../lib/locale'
import { ago, dateAndTime } from '../../lib/time'
import { rate } from '../format'
import { Failure, PageFrame, Panel, Scroll } from '../kit/kit'
import { linkTo, useParam } from '../params'
import { rateOf, useLog, useTopicDetails, type Topic, type TopicDetails } from './topics'

export default function TopicsPage() {
  const log = useLog()
  const details = useTopicDetails()
  const now = useNow(5_000)
  const [open, setOpen] = useParam('open')
  const detailsOf = new Map(details.data?.map((topic) => [topic.topic, topic]))
  const topics = log.data?.topics ?? []
  return (
    <PageFrame title="Topics" lead="What the event log holds, how fast it grows, and how far the inventory is behind.">
      <Failure error={log.error ?? details.error} what="Topics" />
      <Panel title="All topics" note={<span className="num">{count(topics.length)} topics</span>} flush>
        <Scroll label="All topics">
          <table className="tbl">
            <thead>
              <tr>
                <th>Topic</th>
                <th className="right">Partitions</th>
                <th className="right">Offsets</th>
                <th className="right">Per second</th>
                <th className="right">Lag</th>
                <th>Kept</th>
                <th>Last record</th>
                <th>
                  <span className="sr-only">Actions</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {topics.map((topic) => {
                const more = detailsOf.get(topic.topic)
                const isOpen = open === topic.topic
                return (
                  <Fragment key={topic.topic}>
                    <tr data-topic={topic.topic}>
                      <td>
                        <button type="button" className="-ml-1.5 flex min-h-9 items-center gap-1 rounded-lg px-1.5 font-semibold hover:bg-well pointer-coarse:min-h-11" aria-expanded={isOpen} onClick={() => setOpen(isOpen ? '' : topic.topic)}>
                          {isOpen ? <ChevronDown size={16} aria-hidden className="text-soft" /> : <ChevronRight size={16} aria-hidden className="text-soft" />}
                          <span className="whitespace-nowrap">{topic.topic}</span>
                        </button>
                      </td>
                      <td className="right">{topic.partitions.length}</td>
                      <td className="right">{count(topic.partitions.reduce((sum, { start, end }) => sum + end - start, 0))}</td>
                      <td className="right">{perSecond(rateOf(log.data?.samples ?? [], topic.topic))}</td>
                      <td className={`right ${topic.lag ? 'font-semibold text-low' : ''}`}>{topic.lag === undefined ? <None /> : count(topic.lag)}</td>
                      <td>{more?.kept ?? <None />}</td>
                      <td className="num whitespace-nowrap">{more?.lastRecordMs === undefined ? <None /> : <time dateTime={new Date(more.lastRecordMs).toISOString()} title={dateAndTime(more.lastRecordMs)}>{ago(more.lastRecordMs, now)}</time>}</td>
                      <td className="whitespace-nowrap text-right">
                        <Link className="link" href={linkTo('/inspect', { topics: topic.topic })} aria-label={`Inspect ${topic.topic}`}>
                          Inspect
                        </Link>
                        <Link className="link ml-3" href={linkTo('/produce', { topic: topic.topic })} aria-label={`Produce to ${topic.topic}`}>
                          Produce
                        </Link>
                      </td>
                    </tr>
                    {isOpen && (
                      <tr>
                        <td colSpan={8} className="bg-well/50">
                          <Partitions topic={topic} more={more} />
                        </td>
                      </tr>
                    )}
                  </Fragment>
                )
              })}
            </tbody>
          </table>
        </Scroll>
      </Panel>
    </PageFrame>
  )
}

function Partitions({ topic, more }: { topic: Topic; more: TopicDetails | undefined }) {
  const hasGroup = topic.lag !== undefined
  return (
    <div className="grid gap-x-10 gap-y-4 py-2 md:grid-cols-[auto_1fr]">
      <table className="tbl">
        <caption className="px-4 pb-1 text-left text-sm font-semibold">Partitions</caption>
        <thead>
          <tr>
            <th className="right">No.</th>
            <th className="right">First</th>
            <th className="right">End</th>
            {hasGroup && <th className="right">Committed</th>}
            {hasGroup && <th className="right">Lag</th>}
          </tr>
        </thead>
        <tbody>
          {topic.partitions.map(({ start, end, committed, lag }, number) => (
            // Partitions have no name but their number.
            // oxlint-disable-next-line react/no-array-index-key
            <tr key={number}>
              <td className="right">{number}</td>
              <td className="right">{count(start)}</td>
              <td className="right">{count(end)}</td>
              {hasGroup && <td className="right">{committed === undefined ? <None /> : count(committed)}</td>}
              {hasGroup && <td className="right">{count(lag ?? 0)}</td>}
            </tr>
          ))}
        </tbody>
      </table>
      <div>
        <h3 className="text-sm font-semibold">Settings</h3>
        <dl className="code mt-2 grid grid-cols-[auto_1fr] gap-x-4 gap-y-1">
          <dt className="text-soft">cleanup</dt>
          <dd>{more?.cleanup ?? '…'}</dd>
          {Object.entries(more?.settings ?? {}).map(([name, value]) => (
            <Fragment key={name}>
              <dt className="text-soft">{name}</dt>
              <dd>{value}</dd>
            </Fragment>
          ))}
        </dl>
        {more && !more.settings && <p className="mt-2 text-sm text-soft">The log in a file has no settings of a topic&rsquo;s own; what is kept is what the contract says.</p>}
      </div>
    </div>
  )
}

function perSecond(value: number | null) {
  return value === null ? <None /> : rate(value)
}

function None() {
  return (
    <span className="text-soft" title="Nothing to show">
      –
    </span>
  )
}
