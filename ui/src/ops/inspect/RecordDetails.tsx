import { useQuery } from '@tanstack/react-query'
import { Check, Copy, Link2 } from 'lucide-react'
import { useState } from 'react'
import { Link } from 'wouter'

import { ask } from '../api'
import { bytes } from '../format'
import { Failure, Scroll } from '../kit/kit'
import { linkTo } from '../params'
import { causeOf, indented, placeOf, sizeOf, timeText, type OneRecord } from './records'

/** One record: what it holds, to the byte, and where it leads. */
export function RecordDetails({ place }: { place: string }) {
  const { data, error } = useQuery<OneRecord, Error>({
    queryKey: ['record', place],
    queryFn: ({ signal }) => ask<OneRecord>(`/admin/records/${place.split('/').map(encodeURIComponent).join('/')}?values=text`, { signal }),
    staleTime: Infinity,
  })
  if (error) return <Failure error={error} what={place} />
  if (!data) return <p className="text-soft">Reading {place} …</p>
  const { record, raw } = data
  const cause = causeOf(record.headers)
  return (
    <div className="grid gap-4">
      <dl className="grid grid-cols-[auto_minmax(0,1fr)] gap-x-4 gap-y-1">
        <dt className="text-soft">Appended</dt>
        <dd className="num">
          {timeText(record.timestamp)} <span className="text-soft">({record.timestamp})</span>
        </dd>
        <dt className="text-soft">Place</dt>
        <dd className="code">{placeOf(record)}</dd>
        <dt className="text-soft">Key</dt>
        <dd className="code whitespace-pre-wrap">{record.key ?? <span className="font-sans text-soft">none</span>}</dd>
      </dl>
      <div className="flex flex-wrap gap-2">
        <Link href={linkTo('/produce', { from: placeOf(record) })} className="act">
          <Copy size={15} aria-hidden /> Copy to produce
        </Link>
        {cause && (
          <Link href={`/r/${cause}`} className="act">
            Its cause: <span className="code">{cause}</span>
          </Link>
        )}
        <CopyLink place={placeOf(record)} />
      </div>
      <Value record={record} raw={raw} />
      <Headers headers={raw.headers} shown={record.headers} />
      <Raw raw={raw} />
    </div>
  )
}

function CopyLink({ place }: { place: string }) {
  const [copied, setCopied] = useState(false)
  const copy = () => void navigator.clipboard?.writeText(`${location.origin}/r/${place}`).then(() => setCopied(true), () => setCopied(false))
  return (
    <button type="button" className="act" onClick={copy}>
      {copied ? <Check size={15} aria-hidden /> : <Link2 size={15} aria-hidden />}
      {copied ? 'Link copied' : 'Copy link'}
    </button>
  )
}

function Value({ record, raw }: Pick<OneRecord, 'record' | 'raw'>) {
  const [asWritten, setAsWritten] = useState(false)
  const isJson = record.valueType === 'json'
  const text = isJson && !asWritten ? indented(record.value ?? '') : (record.value ?? '')
  const kinds = { json: 'JSON', text: 'text, no JSON', bytes: 'bytes that are no text', tombstone: 'tombstone' }
  return (
    <section aria-label="Value">
      <div className="mb-1 flex flex-wrap items-baseline justify-between gap-2">
        <h3 className="text-base font-bold">
          Value{' '}
          <span className="text-sm font-normal text-soft">
            {kinds[record.valueType ?? 'text']}
            {raw.value !== null && `, ${bytes(sizeOf(raw.value))}`}
          </span>
        </h3>
        {isJson && (
          <label className="flex items-center gap-1.5 text-sm">
            <input type="checkbox" checked={asWritten} onChange={(event) => setAsWritten(event.target.checked)} /> as written
          </label>
        )}
      </div>
      {record.valueType === 'tombstone' ? <p className="text-soft">No value: the key is removed.</p> : <Text label="Value">{record.valueBase64 ?? text}</Text>}
    </section>
  )
}

function Text({ label, children }: { label: string; children: string }) {
  return (
    <Scroll as="pre" label={label} className="max-h-[50vh] rounded-lg border border-line bg-well/60 p-3">
      {children}
    </Scroll>
  )
}

function Headers({ headers, shown }: { headers: OneRecord['raw']['headers']; shown?: Record<string, string> | undefined }) {
  return (
    <section aria-label="Headers">
      <h3 className="mb-1 text-base font-bold">
        Headers <span className="text-sm font-normal text-soft">{headers.length}</span>
      </h3>
      {headers.length > 0 && (
        <dl className="grid grid-cols-[minmax(8rem,auto)_minmax(0,1fr)] gap-x-4 gap-y-1">
          {headers.map(({ name, value }, number) => (
            // Names may repeat; the order of one record never changes.
            // oxlint-disable-next-line react/no-array-index-key
            <div key={number} className="contents">
              <dt className="code text-soft">{name}</dt>
              <dd className="code whitespace-pre-wrap">{decoded(value) ?? shown?.[name] ?? value}</dd>
            </div>
          ))}
        </dl>
      )}
    </section>
  )
}

/** A base64 text's bytes as UTF-8; null if they are none. */
function decoded(base64: string): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Uint8Array.from(atob(base64), (byte) => byte.charCodeAt(0)))
  } catch {
    return null
  }
}

function Raw({ raw }: { raw: OneRecord['raw'] }) {
  return (
    <details>
      <summary className="font-semibold">Raw bytes in base64</summary>
      <div className="mt-2 grid gap-2">
        <Text label="Key in base64">{`key    ${raw.key ?? 'none'}`}</Text>
        <Text label="Value in base64">{`value  ${raw.value ?? 'none'}`}</Text>
        {raw.headers.length > 0 && <Text label="Headers in base64">{raw.headers.map(({ name, value }) => `${name}  ${value}`).join('\n')}</Text>}
      </div>
    </details>
  )
}
