import { Link } from 'wouter'

import { pageOf } from '../actors/actors'

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
