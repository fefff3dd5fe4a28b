import { Link } from 'wouter'

import { useObservable } from '../../lib/observable'
import { pageOf } from '../actors/actors'
import { linkTo } from '../params'
import { shownProcess } from '../presence'

/** A record's place, as a link to the record. */
export function RecordLink({ topic, partition, offset }: { topic: string; partition: number; offset: number }) {
  return (
    <Link href={`/r/${topic}/${partition}/${offset}`} className="link">
      {topic}/{partition}/{offset}
    </Link>
  )
}

export function ActorLink({ id }: { id: string }) {
  return (
    <Link href={pageOf(id)} className="link code">
      {id}
    </Link>
  )
}

/** A trace: at the place that shows traces, where there is one, and the lines of the log that name it. */
export function TraceLink({ id }: { id: string }) {
  const process = useObservable(shownProcess)
  const url = process?.tracing ? process.traceUrl : null
  return (
    <span className="code">
      {url ? (
        <a className="link" href={url.replace('{trace_id}', encodeURIComponent(id))} target="_blank" rel="noreferrer">
          trace {id}
        </a>
      ) : (
        `trace ${id}`
      )}{' '}
      (
      <Link href={linkTo('/logs', { trace: id, level: 'trace' })} className="link">
        log
      </Link>
      )
    </span>
  )
}
