import { usePoll } from '../api'
import { Missing, Next, ProseText } from './parts'
import { StepBlock } from './StepBlock'
import type { Chapter, Hint, Row } from './workshop'

/** An exercise: its task, and hints that are closed until they are asked for. */
export function ExerciseView({ place, next }: { place: string; next: Row | undefined }) {
  const exercise = usePoll<Chapter>(`/admin/workshop/${place}`, 0)
  if (!exercise.data) return <Missing error={exercise.error} />
  const { blocks, file } = exercise.data
  const hints = blocks.filter((block): block is Hint => block.kind === 'hint')
  return (
    <article className="grid min-w-0 grid-cols-[minmax(0,1fr)] gap-4">
      <p className="text-soft">An exercise changes the sources of your clone. So it is begun and checked there, at your prompt.</p>
      <StepBlock step={{ how: 'run', text: `kartshoppe workshop open ${place}` }} />
      {blocks.map((block) => block.kind === 'prose' && <ProseText key={block.html} html={block.html} />)}
      {hints.map(({ number, html }) => (
        <details key={number} className="panel min-w-0 px-4 py-2">
          <summary className="cursor-pointer py-1 font-semibold">
            Hint {number} of {hints.length}
          </summary>
          <div className="grid min-w-0 grid-cols-[minmax(0,1fr)] gap-3 py-2">
            <ProseText html={html} />
          </div>
        </details>
      ))}
      <StepBlock step={{ how: 'run', text: `kartshoppe workshop check ${place}` }} />
      <div className="flex flex-wrap items-center gap-3 text-sm text-soft">
        <p>
          The text is <code className="code">{file}</code>.
        </p>
        <Next row={next} />
      </div>
    </article>
  )
}
