import { Check, Copy } from 'lucide-react'
import { useEffect, useState } from 'react'

import { announce } from '../../lib/announcer'
import { Scroll } from '../kit/kit'
import type { Step } from './workshop'

type Typed = Pick<Step, 'how' | 'text'> & { name?: string | undefined }

const SHOWN_MS = 2_000

/** What to do with it. The shop's own terminal is called terminal 1 in all chapters. */
function doing({ how, name }: Typed): string {
  switch (how) {
    case 'run':
      return 'Type'
    case 'refused':
      return 'Type: it is refused'
    case 'background':
      return name?.startsWith('shop') ? 'Type in terminal 1, where it keeps running' : 'Type in another terminal, where it keeps running'
    case 'stop':
      return 'Stop'
  }
}

/** What the learner types, with a button that copies it. */
export function StepBlock({ step }: { step: Typed }) {
  const [copied, setCopied] = useState(false)
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
        <p className="text-sm text-soft">{doing(step)}</p>
        {step.how !== 'stop' && (
          <button type="button" className="act" onClick={() => void copy()}>
            {copied ? <Check size={16} aria-hidden /> : <Copy size={16} aria-hidden />}
            {copied ? 'Copied' : 'Copy'}
          </button>
        )}
      </div>
      <Scroll as="pre" label={doing(step)} className="p-4">
        {step.text}
      </Scroll>
    </div>
  )
}
