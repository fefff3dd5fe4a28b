import { type MouseEvent } from 'react'
import { Link, useLocation } from 'wouter'

import { Failure } from '../kit/kit'
import { StepBlock } from './StepBlock'
import { partsOf, type Row } from './workshop'

export function Missing({ error }: { error: Error | null }) {
  return (
    <div className="grid gap-2">
      <Failure error={error} what="Text" />
      {error && <p className="text-sm text-soft">While the shop is closed, all texts are in docs/workshop/ and exercises/ of the repository.</p>}
    </div>
  )
}

export function Next({ row }: { row: Row | undefined }) {
  return row ? (
    <Link href={`/workshop/${row.place}`} className="link ml-auto">
      Next: {row.place} · {row.title}
    </Link>
  ) : null
}

/** A text, with its commands as what can be typed. */
export function ProseText({ html }: { html: string }) {
  return (
    <>
      {partsOf(html).map((part, index) =>
        // The text does not change while the page is open.
        // oxlint-disable-next-line react/no-array-index-key
        'html' in part ? <Prose key={index} html={part.html} /> : <StepBlock key={index} step={{ how: 'run', text: part.typed }} />,
      )}
    </>
  )
}

/** The server has made this HTML from Markdown, with all HTML of the text shown as text. */
export function Prose({ html }: { html: string }) {
  const [, navigate] = useLocation()
  const follow = (event: MouseEvent) => {
    const link = (event.target as Element).closest('a')
    const isPlain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey
    if (!link || !isPlain || link.origin !== location.origin || link.hash !== '') return
    event.preventDefault()
    navigate(link.pathname + link.search)
  }
  // Links are pressed by keyboard as by mouse: both are clicks.
  // oxlint-disable-next-line jsx-a11y/click-events-have-key-events, jsx-a11y/no-static-element-interactions, react/no-danger
  return <div className="prose" onClick={follow} dangerouslySetInnerHTML={{ __html: html }} />
}
