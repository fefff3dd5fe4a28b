import { Radio, X } from 'lucide-react'
import { useEffect, useRef } from 'react'
import { Link } from 'wouter'

import { queryClient } from '../api'
import { PageFrame, Panel } from '../kit/kit'
import { useParam } from '../params'
import { LiveTail } from './LiveTail'
import { useAsked } from './query'
import { RecordDetails } from './RecordDetails'
import { Results, useSearch } from './Results'
import { SearchForm } from './SearchForm'

/** Records of several topics: searched, followed and opened. */
export default function InspectPage() {
  const [asked, ask] = useAsked()
  const [live, setLive] = useParam('live')
  const [record, setRecord] = useParam('record')
  const search = useSearch(asked)
  return (
    <PageFrame
      title="Inspect"
      lead="Records of several topics, merged. A search ends at the records that are there when it begins."
      actions={
        live === '' && (
          <button type="button" className="act" disabled={asked.topics === ''} onClick={() => setLive('1')}>
            <Radio size={15} aria-hidden /> Follow live
          </button>
        )
      }
    >
      <Panel title="Search">
        <SearchForm
          asked={asked}
          error={search.error}
          onAsk={(next) => {
            // The same question again is a new search: the ends have moved.
            if (JSON.stringify(next) === JSON.stringify(asked)) void queryClient.resetQueries({ queryKey: ['search', asked] })
            else ask(next)
          }}
        />
      </Panel>
      {live !== '' && asked.topics !== '' && <LiveTail key={JSON.stringify(asked)} asked={asked} onOpen={setRecord} onClose={() => setLive('')} />}
      {asked.topics === '' ? <p className="text-soft">Choose one topic or several.</p> : <Results search={search} onOpen={setRecord} />}
      <Drawer record={record} onClose={() => setRecord('')} />
    </PageFrame>
  )
}

/** The record that was opened, at the side. Escape closes it. */
function Drawer({ record, onClose }: { record: string; onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null)
  const open = record !== ''
  useEffect(() => {
    if (open && !dialog.current?.open) dialog.current?.showModal()
    if (!open) dialog.current?.close()
  }, [open])
  return (
    <dialog ref={dialog} aria-labelledby="drawer-title" onClose={onClose} closedby="any" className="m-0 ml-auto h-dvh max-h-none w-[min(48rem,100vw)] max-w-none overflow-y-auto border-l border-line bg-tile p-5 text-ink shadow-2xl backdrop:bg-black/50">
      {open && (
        <div className="grid gap-4">
          <div className="flex items-start justify-between gap-3">
            <h2 id="drawer-title" className="text-lg font-bold">
              <Link href={`/r/${record}`} className="link">
                {record}
              </Link>
            </h2>
            <button type="button" className="act" onClick={onClose} aria-label="Close">
              <X size={16} aria-hidden />
            </button>
          </div>
          <RecordDetails place={record} />
        </div>
      )}
    </dialog>
  )
}
