import { useQuery } from '@tanstack/react-query'
import { useEffect, useState } from 'react'
import { useSearch } from 'wouter'

import { announce } from '../../lib/announcer'
import { askText, useReadOnly, useWrite } from '../api'
import { ActionButton, Failure, PageFrame, Panel } from '../kit/kit'
import { linkTo } from '../params'
import { useLog } from '../topics/topics'
import { bodyOf, copyOf, draftOf, EMPTY_DRAFT, faultsOf, readExactly, searchOf, type Draft, type ShownRecord } from './draft'
import { HeaderFields, KeyField, ValueField } from './Fields'
import { Outcome, type Place } from './Outcome'
import { Templates } from './Templates'

/** The address is renewed when the typing has stopped. */
const SETTLED_MS = 400

export default function ProducePage() {
  const from = new URLSearchParams(useSearch()).get('from')
  const copy = useCopy(from)
  return (
    <PageFrame title="Produce" lead="Write one record to a topic, as another program would.">
      <Failure error={copy.error} what={`The record ${from ?? ''}`} />
      {from !== null && copy.data === undefined && copy.error === null ? <p className="text-soft">Reading {from}…</p> : <Form key={from} initial={copy.data} copiedFrom={from} />}
    </PageFrame>
  )
}

/** The record that `from=TOPIC/PARTITION/OFFSET` names. */
function useCopy(from: string | null) {
  return useQuery({
    queryKey: ['copy', from],
    enabled: from !== null,
    staleTime: Infinity,
    queryFn: async ({ signal }) => {
      const [topic, partition, offset] = (from ?? '').split('/')
      const text = await askText(linkTo(`/admin/topics/${encodeURIComponent(topic ?? '')}/records`, { partition, from: offset, limit: 1 }), { signal })
      const record = (readExactly(text) as { records: ShownRecord[] }).records[0]
      if (!record || String(record.offset) !== offset) throw new Error('It is no longer there, or never was.')
      return copyOf(record)
    },
  })
}

function Form({ initial, copiedFrom }: { initial: Draft | undefined; copiedFrom: string | null }) {
  const [draft, setDraft] = useState<Draft>(() => (initial && !isEdited(location.search) ? initial : draftOf(location.search)))
  const [insists, setInsists] = useState(false)
  const write = useWrite<{ appended: Omit<Place, 'topic'>[] }>()
  const readOnly = useReadOnly()
  const { data: log } = useLog()
  const change = (more: Partial<Draft>) => setDraft((before) => ({ ...before, ...more }))
  const renew = useAddress(draft, copiedFrom, draft === initial)
  const faults = faultsOf(draft)
  const isForeign = log?.topics.find(({ topic }) => topic === draft.topic)?.owner !== undefined
  const cannot = readOnly ?? Object.values(faults)[0] ?? (isForeign && !insists ? `Only the shop writes ${draft.topic}.` : null)
  const [written, setWritten] = useState<Place | null>(null)
  const send = () => {
    renew()
    write.mutate(
      { path: linkTo(`/admin/topics/${draft.topic}/records`, { foreign: insists ? '' : 'false' }), body: bodyOf(draft) },
      {
        onSuccess: ({ appended }) => {
          const place = appended[0]
          if (!place) return
          setWritten({ topic: draft.topic, ...place })
          setInsists(false)
          announce(`Written to ${draft.topic}, partition ${place.partition}, offset ${place.offset}.`)
        },
      },
    )
  }
  const topics = log?.topics.map(({ topic }) => topic) ?? [draft.topic]
  const partitions = log?.topics.find(({ topic }) => topic === draft.topic)?.partitions.length ?? 0
  return (
    <div className="grid items-start gap-5 lg:grid-cols-[3fr_2fr]">
      <Panel title="Record">
        <form
          className="grid gap-5"
          onSubmit={(event) => {
            event.preventDefault()
            if (cannot === null) send()
          }}
        >
          <div className="grid gap-3 sm:grid-cols-[2fr_1fr]">
            <label className="grid gap-1">
              <span className="text-sm text-soft">Topic</span>
              <select
                className="input"
                value={draft.topic}
                onChange={({ target }) => {
                  setInsists(false)
                  change({ topic: target.value, partition: '' })
                }}
              >
                {[...new Set([...topics, draft.topic])].map((topic) => (
                  <option key={topic}>{topic}</option>
                ))}
              </select>
            </label>
            <label className="grid gap-1">
              <span className="text-sm text-soft">Partition</span>
              <select className="input" value={draft.partition} onChange={({ target }) => change({ partition: target.value })}>
                <option value="">by the key</option>
                {Array.from({ length: partitions }, (_, number) => (
                  <option key={number} value={number}>
                    {number}
                  </option>
                ))}
              </select>
            </label>
          </div>
          {isForeign && <Foreign topic={draft.topic} insists={insists} onInsist={setInsists} />}
          <KeyField draft={draft} onChange={change} fault={faults.key} />
          <ValueField draft={draft} onChange={change} fault={faults.value} />
          <HeaderFields draft={draft} onChange={change} fault={faults.headers} />
          <Failure error={write.error} what="Not written" />
          <div className="flex flex-wrap items-center gap-3">
            <ActionButton main type="submit" reason={cannot} busy={write.isPending}>
              {write.isPending ? 'Writing…' : 'Write the record'}
            </ActionButton>
            {cannot && <span className="text-sm text-soft">{cannot}</span>}
            <button
              type="button"
              className="act"
              onClick={() => {
                setDraft(EMPTY_DRAFT)
                setWritten(null)
              }}
            >
              Clear
            </button>
          </div>
        </form>
      </Panel>
      <div className="grid min-w-0 gap-5">
        {written && <Outcome key={`${written.topic}/${written.partition}/${written.offset}`} place={written} />}
        <Templates onDraft={setDraft} />
      </div>
    </div>
  )
}

/** Whether an address holds more than where the record is copied from. */
function isEdited(search: string): boolean {
  return new URLSearchParams(search).has('topic')
}

/** Keeps the draft in the address. A copy without changes is named by where it comes from. */
function useAddress(draft: Draft, copiedFrom: string | null, isUnchanged: boolean): () => void {
  const search = isUnchanged && copiedFrom !== null ? null : searchOf(draft)
  useEffect(() => {
    const timer = setTimeout(() => renewAddress(search, copiedFrom), SETTLED_MS)
    return () => clearTimeout(timer)
  }, [search, copiedFrom])
  return () => renewAddress(search, copiedFrom)
}

function renewAddress(search: string | null, copiedFrom: string | null): void {
  if (search === null || `?${search}` === location.search) return
  // The page is keyed by `from`: it stays in the address, or the form would begin again.
  const kept = copiedFrom === null ? search : `${search}&from=${encodeURIComponent(copiedFrom)}`
  history.replaceState(history.state, '', `?${kept}`)
}

function Foreign({ topic, insists, onInsist }: { topic: string; insists: boolean; onInsist: (insists: boolean) => void }) {
  return (
    <div role="note" className="rounded-lg border-2 border-low p-3">
      <p className="font-semibold text-low">Only the shop writes {topic}.</p>
      <p className="mt-1 text-sm">
        {topic === 'products'
          ? 'A record of another program here is foreign: the inventory does not take it for a state, raises an alarm and writes its own state again. To change a product, write to product-updates.'
          : 'A record of another program here is foreign: readers may take it for something that happened. Use it only to see what they do.'}
      </p>
      <label className="mt-2 flex items-center gap-2">
        <input type="checkbox" className="size-4.5 accent-(--c-leaf)" checked={insists} onChange={({ target }) => onInsist(target.checked)} />
        Write a foreign record all the same
      </label>
    </div>
  )
}
