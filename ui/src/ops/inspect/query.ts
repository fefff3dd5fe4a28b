import { useSearchParams } from 'wouter'

/** What is asked, as the address has it. */
export const FIELDS = ['topics', 'where', 'from', 'to', 'partition', 'order', 'direction'] as const
export type Field = (typeof FIELDS)[number]
export type Asked = Record<Field, string>

const FALLBACK: Asked = { topics: '', where: '', from: '', to: '', partition: '', order: 'time', direction: 'newest' }

/** The question in the address, and how to ask another; what is left out of it stays. */
export function useAsked(): [Asked, (asked: Asked) => void] {
  const [params, setParams] = useSearchParams()
  const asked = Object.fromEntries(FIELDS.map((field) => [field, params.get(field) ?? FALLBACK[field]])) as Asked
  const ask = (next: Asked) =>
    setParams((before) => {
      const after = new URLSearchParams(before)
      after.delete('record')
      for (const field of FIELDS) {
        if (next[field].trim() === '' || next[field] === FALLBACK[field]) after.delete(field)
        else after.set(field, next[field])
      }
      return after
    })
  return [asked, ask]
}

/** Distinguishes this tab from others at the same address: each has one search at a time. */
const VIEWER = Math.random().toString(36).slice(2)

/** The address of one page of a search. */
export function searchPath(asked: Asked, cursor: string): string {
  return `/admin/search?${filled({ ...asked, cursor, values: 'text', limit: '100', viewer: VIEWER })}`
}

/** The address of the stream that follows the topics. */
export function tailPath({ topics, where, partition }: Asked): string {
  return `/admin/tail?${filled({ topics, where, partition, values: 'text' })}`
}

function filled(parameters: Record<string, string>): URLSearchParams {
  return new URLSearchParams(Object.entries(parameters).filter(([, value]) => value.trim() !== ''))
}
