import { Badge, type Tone } from '../kit/kit'
import { standing, type Check, type Report } from './workshop'

const LOOKS: Record<ReturnType<typeof standing>, { tone: Tone; word: string }> = {
  green: { tone: 'good', word: '✓ So' },
  red: { tone: 'bad', word: '✗ Missing' },
  unchecked: { tone: 'low', word: 'Not checked' },
  unknown: { tone: 'quiet', word: 'To do' },
}

/** What must be so at the end, and what is missing. */
export function CheckItem({ check, report }: { check: Check; report: Report | undefined }) {
  const state = standing(check, report)
  const found = report?.checks.find(({ name }) => name === check.name)
  const { tone, word } = LOOKS[state]
  return (
    <section aria-label={`Check: ${check.name}`} data-check={state} className="panel min-w-0 px-4 py-3">
      <div className="flex flex-wrap items-baseline justify-between gap-x-4 gap-y-1">
        <p className="min-w-0 font-semibold">
          {check.name}
          {check.always && <span className="font-normal text-soft"> (holds from the start)</span>}
        </p>
        <Badge tone={tone}>{word}</Badge>
      </div>
      {state !== 'green' && found?.missing && <p className="mt-1">{found.missing}</p>}
      {state !== 'green' && found?.detail && <p className="mt-1 text-sm text-soft">{found.detail}</p>}
      {state === 'unknown' && check.local && <p className="mt-1 text-sm text-soft">The command line checks this one, on your machine.</p>}
    </section>
  )
}
