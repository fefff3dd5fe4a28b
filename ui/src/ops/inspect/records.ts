/** A record as `/admin/search?values=text` gives it: its value as the text that the bytes are. */
export type ShownRecord = {
  topic: string
  partition: number
  offset: number
  timestamp: number
  key?: string | null
  value?: string | null
  valueBase64?: string
  valueType?: 'json' | 'text' | 'bytes' | 'tombstone'
  headers?: Record<string, string>
  /** Bytes of a record that alone is more than an answer holds: nothing else of it is here. */
  tooLarge?: number
}

export type EndedBy = 'limit' | 'bytes' | 'time' | 'log' | 'retention'

export type RecordsPage = { records: ShownRecord[]; complete: boolean; endedBy?: EndedBy; cursor?: string; scanned: number; total: number; error?: string }

export type TailBatch = { records: ShownRecord[]; scanned: number; skipped: number; error?: string }

/** `key`, `value` and header values in base64; null where there is none. */
export type RawRecord = { key: string | null; value: string | null; headers: { name: string; value: string }[] }

export type OneRecord = { record: ShownRecord; raw: RawRecord; start: number; end: number }

/** Topic, partition and offset, as addresses and causes write them. */
export const placeOf = ({ topic, partition, offset }: Pick<ShownRecord, 'topic' | 'partition' | 'offset'>) => `${topic}/${partition}/${offset}`

/** The record that a cause names: `order-events/2/1234/0`. Others, such as a timer, are no records. */
export function causeOf(headers: Record<string, string> = {}): string | null {
  return /^[a-z_-]+\/\d+\/\d+(?=\/|$)/.exec(headers['kartshoppe-cause'] ?? '')?.[0] ?? null
}

/** A value in one line of a table. */
export function snippet({ value, valueType, tooLarge }: ShownRecord): string {
  if (tooLarge !== undefined) return 'too large to be shown here'
  if (valueType === 'tombstone') return 'tombstone (no value)'
  if (valueType === 'bytes') return 'bytes that are no text'
  if (value === '') return 'empty text'
  const text = (value ?? '').slice(0, 400)
  return text.length < (value ?? '').length ? `${text}…` : text
}

/** JSON with line breaks and indents between its tokens, which stay as they are: no number or key is read and written again. */
export function indented(json: string): string {
  let depth = 0
  let out = ''
  const line = () => `\n${'  '.repeat(depth)}`
  for (const token of json.match(/"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g) ?? []) {
    if (token === '}' || token === ']') {
      depth = Math.max(0, depth - 1)
      out += /[{[]$/.test(out) ? token : line() + token
    } else {
      if (/[{[]$/.test(out)) out += line()
      out += token
      if (token === '{' || token === '[') depth = Math.min(depth + 1, 40)
      if (token === ',') out += line()
      if (token === ':') out += ' '
    }
  }
  return out
}

const TIME = new Intl.DateTimeFormat('sv-SE', { year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit', second: '2-digit', fractionalSecondDigits: 3 })

/** `2026-01-31 10:42:07.123`, in the viewer's time zone. */
export const timeText = (ms: number) => TIME.format(ms).replace(',', '.')

/** Bytes of a base64 text. */
export const sizeOf = (base64: string) => Math.floor((base64.length * 3) / 4) - (base64.endsWith('==') ? 2 : base64.endsWith('=') ? 1 : 0)
