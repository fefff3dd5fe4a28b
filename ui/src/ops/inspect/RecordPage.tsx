import { Link, useParams } from 'wouter'

import { PageFrame, Panel } from '../kit/kit'
import { linkTo } from '../params'
import { RecordDetails } from './RecordDetails'

/** One record, at an address that can be sent to a colleague. */
export default function RecordPage() {
  const { topic = '', partition = '', offset = '' } = useParams()
  const place = `${topic}/${partition}/${offset}`
  const at = Number(offset)
  const neighbours = linkTo('/inspect', { topics: topic, partition, from: `offset:${Math.max(0, at - 10)}`, to: `offset:${at + 11}`, order: 'offset', direction: 'oldest' })
  return (
    <PageFrame
      title={`Record ${place}`}
      actions={
        Number.isSafeInteger(at) && (
          <Link href={neighbours} className="act">
            Its neighbours
          </Link>
        )
      }
    >
      <Panel title="Record">
        <RecordDetails place={place} />
      </Panel>
    </PageFrame>
  )
}
