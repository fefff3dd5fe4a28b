import { useQuery } from '@tanstack/react-query'

import { ask, usePoll } from '../api'

export type Partition = { start: number; end: number; committed?: number; lag?: number }
/** `owner` is the part of the shop that is its only writer: a record of another program is foreign there. */
export type Topic = { topic: string; partitions: Partition[]; lag?: number; owner?: string }
export type TopicDetails = Topic & { cleanup?: string; kept?: string; settings?: Record<string, string>; lastRecordMs?: number }

const EVERY_MS = 2_000
/** Ends of all topics at one time; the newest last. */
type Sample = { at: number; ends: ReadonlyMap<string, number> }
const KEPT = 90
/** A rate is taken over so many samples, so that a burst is seen and a single record does not flicker. */
const OVER = 5

/** The log as it stands, with what was appended in each of the last three minutes' steps. */
export type Log = { topics: Topic[]; samples: readonly Sample[] }

let samples: readonly Sample[] = []

/** Adds what the ends are now. Ends that step back are another log's: what was known of the previous log is forgotten. */
export function sampled(before: readonly Sample[], sample: Sample): readonly Sample[] {
  const last = before.at(-1)
  const isAnother = last !== undefined && [...last.ends].some(([topic, end]) => (sample.ends.get(topic) ?? 0) < end)
  return [...(isAnother ? [] : before), sample].slice(-KEPT)
}

/** Records a second of a topic over the last few samples; null while there is only one. */
export function rateOf(kept: readonly Sample[], topic: string): number | null {
  const last = kept.at(-1)
  const first = kept.at(-1 - Math.min(OVER, kept.length - 1))
  if (!first || !last || first.at === last.at) return null
  return (((last.ends.get(topic) ?? 0) - (first.ends.get(topic) ?? 0)) * 1_000) / (last.at - first.at)
}

/** Records a second between each two samples, the newest last. */
export function ratesOf(kept: readonly Sample[], topic: string): number[] {
  return kept.slice(1).map((sample, nth) => {
    const before = kept[nth] ?? sample
    return (((sample.ends.get(topic) ?? 0) - (before.ends.get(topic) ?? 0)) * 1_000) / Math.max(1, sample.at - before.at)
  })
}

export function useLog() {
  return useQuery({
    queryKey: ['admin', '/admin/topics'],
    queryFn: async ({ signal }): Promise<Log> => {
      const topics = await ask<Topic[]>('/admin/topics', { signal })
      const ends = new Map(topics.map(({ topic, partitions }) => [topic, partitions.reduce((sum, { end }) => sum + end, 0)]))
      samples = sampled(samples, { at: performance.now(), ends })
      return { topics, samples }
    },
    refetchInterval: EVERY_MS,
  })
}

/** Retention, settings and newest records cost the log more than a look, and change seldom. */
export function useTopicDetails() {
  return usePoll<TopicDetails[]>('/admin/topics?details=true', 15_000)
}
