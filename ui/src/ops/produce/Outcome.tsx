import { useQuery } from '@tanstack/react-query'
import { useEffect, useState } from 'react'

import { plain } from '../../lib/text'
import { preciseTime } from '../../lib/time'
import { askText } from '../api'
import { Badge, Failure, Panel, Scroll, type Tone } from '../kit/kit'
import { RecordLink } from '../kit/links'
import { linkTo } from '../params'
import { readExactly } from './draft'

export type Place = { topic: string; partition: number; offset: number; timestamp: number }
type Answer = { shown: Result[]; isWhole: boolean }
type Result = { topic: string; partition: number; offset: number; timestamp: number; value: unknown }

/** What the inventory writes because of an input; each record names its input. */
const RESULTS = ['inventory-events', 'inventory-alerts', 'dead-letters'] as const
const INPUTS: ReadonlySet<string> = new Set(['product-updates', 'order-events'])
const EVERY_MS = 700
/** The clock of the log may step back, and brokers' clocks differ. */
const SKEW_MS = 5_000
/** A record that changes nothing makes no event: the search ends then. */
const PATIENCE_MS = 20_000

async function found(topic: string, since: number, header: string, value: string, signal: AbortSignal): Promise<Result[]> {
  const where = `.headers["${header}"] == ${JSON.stringify(value)}`
  const text = await askText(linkTo(`/admin/topics/${topic}/records`, { from: since, limit: 20, where }), { signal })
  return (readExactly(text) as { records: Result[] }).records
}

/** A record without a key may lie in another partition than its product: the inventory writes it again there, and takes that one. */
async function resultsOf({ topic, partition, offset, timestamp }: Place, signal: AbortSignal): Promise<Result[]> {
  const since = timestamp - SKEW_MS
  const moved = topic === 'product-updates' ? await found(topic, since, 'kartshoppe-moved-from', `${topic}/${partition}/${offset}`, signal) : []
  const causes = [{ topic, partition, offset }, ...moved].map((place) => `${place.topic}/${place.partition}/${place.offset}/0`)
  const results = await Promise.all(causes.flatMap((cause) => RESULTS.map((result) => found(result, since, 'kartshoppe-cause', cause, signal))))
  return [...moved, ...results.flat()]
}

function isResult({ topic }: Result): boolean {
  return RESULTS.some((known) => known === topic)
}

/** Where the record is, and what came of it. */
export function Outcome({ place }: { place: Place }) {
  const isInput = INPUTS.has(place.topic)
  const [since] = useState(Date.now)
  const [isPatient, setPatient] = useState(true)
  useEffect(() => {
    const timer = setTimeout(() => setPatient(false), PATIENCE_MS)
    return () => clearTimeout(timer)
  }, [])
  const { data, error } = useQuery({
    queryKey: ['outcome', place],
    // An input's event and its alert lie on two topics, which are not read at the same moment: a second read finds both.
    queryFn: async ({ client, queryKey, signal }): Promise<Answer> => {
      const before = client.getQueryData<Answer>(queryKey)
      return { shown: await resultsOf(place, signal), isWhole: before?.shown.some(isResult) ?? false }
    },
    enabled: isInput,
    refetchInterval: ({ state }) => (state.data?.isWhole || Date.now() - since > PATIENCE_MS ? false : EVERY_MS),
  })
  const shown = data?.shown ?? []
  return (
    <Panel title="What came of it" className="border-leaf">
      <div className="grid gap-3" data-testid="outcome">
        <p>
          <Badge tone="good">Written</Badge> to{' '}
          <span className="code">
            <RecordLink {...place} />
          </span>{' '}
          at <span className="num">{preciseTime(place.timestamp)}</span>.
        </p>
        <Failure error={error} />
        {!isInput && <p className="text-soft">Nothing of the shop reads {place.topic} to make events of it.</p>}
        {isInput && !shown.some(isResult) && <p className="text-soft">{isPatient ? 'Waiting for its event…' : 'No event yet. A record that changes nothing makes none; otherwise see whether the role inventory runs.'}</p>}
        <ul className="grid gap-3">
          {shown.map((result) => (
            <li key={`${result.topic}/${result.partition}/${result.offset}`} className="rounded-lg bg-well p-3">
              <p className="flex flex-wrap items-baseline justify-between gap-x-4">
                <Badge tone={TONES[result.topic] ?? 'good'}>{nameOf(result)}</Badge>
                <span className="code">
                  <RecordLink {...result} />
                </span>
              </p>
              <Scroll as="pre" label={`Value of ${result.topic}/${result.partition}/${result.offset}`} className="mt-2 max-h-64">
                {plain(typeof result.value === 'string' ? result.value : JSON.stringify(result.value, null, 2))}
              </Scroll>
            </li>
          ))}
        </ul>
      </div>
    </Panel>
  )
}

const TONES: Record<string, Tone> = { 'dead-letters': 'bad', 'inventory-alerts': 'low', 'product-updates': 'info' }

function nameOf({ topic, value }: Result): string {
  if (topic === 'product-updates') return 'written again in its partition'
  const { eventType, alertType } = (typeof value === 'object' && value !== null ? value : {}) as { eventType?: string; alertType?: string }
  return eventType ?? alertType ?? topic
}
