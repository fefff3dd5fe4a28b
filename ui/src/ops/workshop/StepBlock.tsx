import { Check, Copy } from 'lucide-react'
import { useEffect, useId, useState } from 'react'

import { announce } from '../../lib/announcer'
import type { Step } from './workshop'

const SHOWN_MS = 2_000
const HOW = { run: 'Type', background: 'Type in a window of its own', stop: 'Stop' } as const

/** What the learner types, with a button that copies it. */
export function StepBlock({ step }: { step: Step }) {
  const [copied, setCopied] = useState(false)
  const id = useId()
  useEffect(() => {
    if (!copied) return
    const timer = setTimeout(() => setCopied(false), SHOWN_MS)
    return () => clearTimeout(timer)
  }, [copied])
  const copy = async () => {
    const done = await navigator.clipboard?.writeText(step.text).then(
      () => true,
      () => false,
    )
    setCopied(done === true)
    announce(done === true ? 'Copied.' : 'The browser does not let the page copy: mark the text instead.')
  }
  return (
    <div className="panel min-w-0 overflow-hidden">
      <div className="flex min-h-11 items-center justify-between gap-3 border-b border-line py-1 pr-1.5 pl-4">
        <p id={id} className="text-sm text-soft">
          {HOW[step.how]}
          {step.name && <span className="code ml-2">{step.name}</span>}
        </p>
        {step.how !== 'stop' && (
          <button type="button" className="act" onClick={() => void copy()}>
            {copied ? <Check size={16} aria-hidden /> : <Copy size={16} aria-hidden />}
            {copied ? 'Copied' : 'Copy'}
          </button>
        )}
      </div>
      {/* oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex */}
      <pre role="group" aria-labelledby={id} tabIndex={0} className="code overflow-x-auto p-4 -outline-offset-2">
        {step.text}
      </pre>
    </div>
  )
}
