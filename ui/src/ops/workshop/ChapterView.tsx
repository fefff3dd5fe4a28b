import { useQueryClient } from '@tanstack/react-query'
import { useSearchParams } from 'wouter'

import { announce } from '../../lib/announcer'
import { useReadOnly, usePoll, useWrite } from '../api'
import { ActionButton, Failure } from '../kit/kit'
import { CheckItem } from './CheckItem'
import { Missing, Next, Prose, ProseText } from './parts'
import { StepBlock } from './StepBlock'
import { summary, type Block, type Chapter, type Check, type Report, type Row } from './workshop'

/** How long the server waits for what is not so yet. */
const WAIT_MS = 5_000

export function ChapterView({ place, next }: { place: string; next: Row | undefined }) {
  const path = `/admin/workshop/${place}`
  const chapter = usePoll<Chapter>(path, 0)
  const check = useWrite<Report>()
  const start = useWrite<Chapter>()
  const cannot = useReadOnly()
  const client = useQueryClient()
  const wantsNotes = useSearchParams()[0].has('notes')
  if (!chapter.data) return <Missing error={chapter.error} />
  const { blocks, begunAtMs, file } = chapter.data
  const checks = blocks.filter((block): block is Check => block.kind === 'check')
  const runCheck = () => check.mutate({ path: `${path}/check`, body: { waitMs: WAIT_MS } }, { onSuccess: (report) => announce(summary(report, checks)) })
  const begin = () =>
    start.mutate(
      { path: `${path}/start` },
      {
        onSuccess: (begun) => {
          check.reset()
          client.setQueryData(['admin', path], begun)
          announce('The chapter is begun.')
        },
      },
    )
  return (
    <article className="grid min-w-0 grid-cols-[minmax(0,1fr)] gap-4">
      <div className="flex flex-wrap items-center gap-3">
        <ActionButton main={begunAtMs === null} reason={cannot} busy={start.isPending} onClick={begin}>
          {begunAtMs === null ? 'Begin this chapter' : 'Begin again'}
        </ActionButton>
        <span className="text-sm text-soft">{begunAtMs === null ? 'Its checks count what happens from then on.' : `Begun ${new Date(begunAtMs).toLocaleString()}`}</span>
      </div>
      <Failure error={start.error} what="Not begun" />
      {blocks.map((block, index) => (
        // The text does not change while the page is open.
        // oxlint-disable-next-line react/no-array-index-key
        <BlockOf key={index} block={block} report={check.data} notes={wantsNotes} />
      ))}
      <div className="panel flex flex-wrap items-center gap-3 p-4">
        <ActionButton main={begunAtMs !== null} reason={cannot} busy={check.isPending} onClick={runCheck}>
          {check.isPending ? 'Checking…' : 'Check this chapter'}
        </ActionButton>
        {check.data && <span className="text-sm">{summary(check.data, checks)}</span>}
        <Next row={next} />
      </div>
      <Failure error={check.error} what="Not checked" />
      <p className="text-sm text-soft">
        At your prompt: <code className="code">kartshoppe workshop check {place}</code>. The text is <code className="code">{file}</code>.
      </p>
    </article>
  )
}

function BlockOf({ block, report, notes }: { block: Block; report: Report | undefined; notes: boolean }) {
  switch (block.kind) {
    case 'prose':
      return <ProseText html={block.html} />
    case 'notes':
      return notes ? (
        <aside aria-label="For instructors" className="rounded-xl border-2 border-low px-4 py-3">
          <p className="mb-1 text-sm font-semibold text-low">For instructors</p>
          <Prose html={block.html} />
        </aside>
      ) : null
    case 'step':
      return <StepBlock step={block} />
    case 'check':
      return <CheckItem check={block} report={report} />
    case 'hint':
      return null
  }
}
