import { usePoll } from '../api'
import { Missing, Prose } from './parts'
import type { Chapter } from './workshop'

/** A text that is read, without steps and checks. */
export function TextView({ place }: { place: string }) {
  const text = usePoll<Chapter>(`/admin/workshop/${place}`, 0)
  if (!text.data) return <Missing error={text.error} />
  const { blocks, file } = text.data
  return (
    // Messages of the program are longer than a page is wide.
    <article className="grid min-w-0 grid-cols-[minmax(0,1fr)] gap-4 [&_.language-text]:whitespace-pre-wrap">
      {blocks.map((block) => block.kind === 'prose' && <Prose key={block.html} html={block.html} />)}
      <p className="text-sm text-soft">
        The text is <code className="code">{file}</code>.
      </p>
    </article>
  )
}
