/** What a value is: each kind is chosen, none is guessed. `none` is a tombstone. */
export const KINDS = ['json', 'text', 'empty', 'none'] as const
export type Kind = (typeof KINDS)[number]

export type Draft = { topic: string; hasKey: boolean; key: string; kind: Kind; value: string; headers: readonly (readonly [string, string])[]; partition: string }

export const EMPTY_DRAFT: Draft = { topic: 'product-updates', hasKey: false, key: '', kind: 'json', value: '', headers: [], partition: '' }

/** More than this does not fit into an address that people send each other. */
const ADDRESS_MAX = 4_000

/** The draft of an address. `h` stands once for each header, as `name:value`. */
export function draftOf(search: string): Draft {
  const params = new URLSearchParams(search)
  const kind = params.get('as')
  return {
    topic: params.get('topic') ?? EMPTY_DRAFT.topic,
    hasKey: params.has('key'),
    key: params.get('key') ?? '',
    kind: KINDS.find((known) => known === kind) ?? 'json',
    value: params.get('value') ?? '',
    headers: params.getAll('h').map((header) => {
      const colon = header.indexOf(':')
      return colon < 0 ? [header, ''] : [header.slice(0, colon), header.slice(colon + 1)]
    }),
    partition: params.get('partition') ?? '',
  }
}

/** The address of a draft, without its value where that is too long. */
export function searchOf({ topic, hasKey, key, kind, value, headers, partition }: Draft): string {
  const params = new URLSearchParams({ topic })
  if (hasKey) params.set('key', key)
  if (kind !== 'json') params.set('as', kind)
  for (const [name, text] of headers) params.append('h', `${name}:${text}`)
  if (partition !== '') params.set('partition', partition)
  const withValue = new URLSearchParams(params)
  if (value !== '') withValue.set('value', value)
  return String(withValue).length <= ADDRESS_MAX ? String(withValue) : String(params)
}

/** What is wrong with a draft, by field; nothing if it can be sent. */
export function faultsOf({ hasKey, kind, value, headers }: Draft): { value?: string; key?: string; headers?: string } {
  const faults: { value?: string; key?: string; headers?: string } = {}
  if (kind === 'json') {
    try {
      JSON.parse(value)
    } catch (error) {
      faults.value = value.trim() === '' ? 'Write a JSON value, or choose another kind.' : `This is no JSON: ${error instanceof Error ? error.message : String(error)}`
    }
  }
  if (kind === 'none' && !hasKey) faults.key = 'A tombstone needs the key that it removes.'
  if (headers.some(([name]) => name === '')) faults.headers = 'Each header needs a name.'
  if (new Set(headers.map(([name]) => name)).size < headers.length) faults.headers = 'A name can stand only once.'
  return faults
}

/** The body of the call. The bytes go out as they were typed: numbers keep their digits, keys their order. */
export function bodyOf({ hasKey, key, kind, value, headers, partition }: Draft): object {
  return {
    ...(hasKey ? { key } : {}),
    ...(kind === 'none' ? { value: null } : { valueBase64: base64(kind === 'empty' ? '' : value) }),
    ...(headers.length > 0 ? { headers: Object.fromEntries(headers) } : {}),
    ...(partition === '' ? {} : { partition: Number(partition) }),
  }
}

/** The text's UTF-8 bytes in base64. */
export function base64(text: string): string {
  let binary = ''
  for (const byte of new TextEncoder().encode(text)) binary += String.fromCharCode(byte)
  return btoa(binary)
}

type Source = { source?: string }
type Raw = { rawJSON?: (text: string) => unknown }

/** JSON read so that numbers which JavaScript would write differently stay the text they were, where the browser can do that. */
export function readExactly(text: string): unknown {
  const { rawJSON } = JSON as unknown as Raw
  const revive = (_: string, value: unknown, context?: Source) => (typeof value === 'number' && rawJSON && context?.source && String(value) !== context.source ? rawJSON(context.source) : value)
  return JSON.parse(text, revive as (key: string, value: unknown) => unknown)
}

/** A record as the server shows it. */
export type ShownRecord = { topic: string; partition: number; offset: number; key: string | null; value: unknown; valueBase64?: string; headers: Record<string, string> }

/** A draft that writes this record again. Headers that say where it came from are its own and are left out. */
export function copyOf(record: ShownRecord): Draft {
  const isText = typeof record.value === 'string'
  return {
    topic: record.topic,
    hasKey: record.key !== null,
    key: record.key ?? '',
    kind: record.value === null && record.valueBase64 === undefined ? 'none' : record.value === '' ? 'empty' : isText ? 'text' : 'json',
    value: record.value === null ? '' : isText ? String(record.value) : JSON.stringify(record.value, null, 2),
    headers: Object.entries(record.headers).filter(([name]) => !name.startsWith('kartshoppe-') && !name.startsWith('__streams.') && name !== 'traceparent'),
    partition: '',
  }
}
