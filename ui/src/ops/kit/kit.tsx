import { useEffect, useId, useRef, type ButtonHTMLAttributes, type ReactNode } from 'react'

import { failureText } from '../api'

/** A page: its name in the tab and as the one `h1`, a sentence below it, and what can be done at its right. */
export function PageFrame({ title, lead, actions, children }: { title: string; lead?: ReactNode; actions?: ReactNode; children: ReactNode }) {
  useEffect(() => {
    document.title = `${title} · KartShoppe operators`
  }, [title])
  return (
    <div className="grid gap-5">
      <div className="flex flex-wrap items-end justify-between gap-x-6 gap-y-3">
        <div className="min-w-0">
          <h1 className="text-2xl font-bold">{title}</h1>
          {lead && <p className="mt-1 max-w-prose text-soft">{lead}</p>}
        </div>
        {actions && <div className="flex flex-wrap items-center gap-2">{actions}</div>}
      </div>
      {children}
    </div>
  )
}

/** A part of a page with a heading of its own. `flush` leaves out the space around what it holds: for tables. */
export function Panel({ title, note, actions, flush = false, className = '', children }: { title: string; note?: ReactNode; actions?: ReactNode; flush?: boolean; className?: string; children: ReactNode }) {
  const id = useId()
  return (
    <section aria-labelledby={id} className={`panel min-w-0 overflow-hidden ${className}`}>
      <div className="flex min-h-12 flex-wrap items-center justify-between gap-x-4 gap-y-1 border-b border-line px-4 py-2">
        <h2 id={id} className="text-base font-bold">
          {title}
        </h2>
        {note && <div className="text-sm text-soft">{note}</div>}
        {actions && <div className="flex flex-wrap items-center gap-2">{actions}</div>}
      </div>
      <div className={flush ? '' : 'p-4'}>{children}</div>
    </section>
  )
}

/** What is larger than its place scrolls in it, by keyboard too; `label` names it. As a `pre` it is text as it was written, to be read and never run. */
export function Scroll({ label, as: Element = 'div', className = '', children }: { label: string; as?: 'div' | 'pre'; className?: string; children: ReactNode }) {
  return (
    // Scrolled by the arrow keys, so it must take the focus.
    // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex
    <Element role="group" aria-label={label} tabIndex={0} className={`relative overflow-x-auto -outline-offset-2 ${Element === 'pre' ? 'code whitespace-pre-wrap wrap-anywhere' : ''} ${className}`}>
      {children}
    </Element>
  )
}

const TONES = {
  good: 'text-leaf',
  low: 'text-low',
  bad: 'text-out',
  info: 'text-back',
  quiet: 'text-soft',
} as const
export type Tone = keyof typeof TONES

/** A state in words with a mark before it: colour alone says nothing. */
export function Badge({ tone, children }: { tone: Tone; children: ReactNode }) {
  return (
    <span className={`inline-flex items-center gap-1.5 whitespace-nowrap font-semibold ${TONES[tone]}`}>
      <svg viewBox="0 0 10 10" className="size-2.5 shrink-0" aria-hidden>
        {tone === 'good' && <circle cx="5" cy="5" r="4.5" fill="currentColor" />}
        {tone === 'bad' && <path d="M5 .3 9.9 9.4H.1z" fill="currentColor" />}
        {tone === 'low' && <path d="M5 0l5 5-5 5-5-5z" fill="currentColor" />}
        {tone === 'info' && <path d="M1 1h8v8H1z" fill="currentColor" />}
        {tone === 'quiet' && <circle cx="5" cy="5" r="3.75" fill="none" stroke="currentColor" strokeWidth="1.5" />}
      </svg>
      {children}
    </span>
  )
}

/** A figure with what it counts, for the row of figures at the top of a page. */
export function Figure({ label, value, unit, note }: { label: string; value: ReactNode; unit?: string; note?: ReactNode }) {
  return (
    <div className="panel px-4 py-3">
      <dt className="text-sm text-soft">{label}</dt>
      <dd className="num text-2xl font-bold tracking-tight">
        {value}
        {unit && <span className="ml-1 text-base font-normal text-soft">{unit}</span>}
        {note && <span className="block text-sm font-normal tracking-normal text-soft">{note}</span>}
      </dd>
    </div>
  )
}

/** What went wrong with a call, in the server's words. */
export function Failure({ error, what }: { error: unknown; what?: string }) {
  if (error === null || error === undefined) return null
  return (
    <p role="alert" className="rounded-lg border-2 border-out px-3 py-2 text-out">
      {what && <strong>{what}: </strong>}
      {failureText(error)}
    </p>
  )
}

/** Where nothing is, and why. */
export function Empty({ children }: { children: ReactNode }) {
  return <p className="px-4 py-6 text-center text-soft">{children}</p>
}

/**
 * A button for what changes something. Where that is not allowed, `reason` is said beside it. While it rests it keeps the focus: one
 * that is `disabled` would hand it to the page, and who works by keyboard would begin again at its top.
 */
export function ActionButton({ reason, risky, main, busy, children, onClick, ...rest }: { reason?: string | null; risky?: boolean; main?: boolean; busy?: boolean } & ButtonHTMLAttributes<HTMLButtonElement>) {
  const id = useId()
  const kind = risky ? 'act-risky' : main ? 'act-main' : 'act'
  const rests = Boolean(reason) || busy || rest.disabled
  return (
    <>
      <button
        type="button"
        {...rest}
        className={kind}
        disabled={false}
        aria-disabled={rests || undefined}
        aria-busy={busy || undefined}
        aria-describedby={reason ? id : undefined}
        title={reason ?? undefined}
        onClick={(event) => (rests ? event.preventDefault() : onClick?.(event))}
      >
        {children}
      </button>
      {reason && (
        <span id={id} className="sr-only">
          {reason}
        </span>
      )}
    </>
  )
}

/** Asks before something is done. Escape and the quiet button mean no; what the other one does stands on it. */
export function Confirm({ open, title, action, risky = true, onYes, onNo, children }: { open: boolean; title: string; action: string; risky?: boolean; onYes: () => void; onNo: () => void; children: ReactNode }) {
  const dialog = useRef<HTMLDialogElement>(null)
  const id = useId()
  useEffect(() => (open ? dialog.current?.showModal() : dialog.current?.close()), [open])
  return (
    <dialog ref={dialog} aria-labelledby={id} onClose={onNo} closedby="any" className="m-auto w-[min(34rem,calc(100vw-2rem))] rounded-xl border border-line bg-tile p-5 text-ink shadow-2xl backdrop:bg-black/50">
      {open && (
        <div className="grid gap-3">
          <h2 id={id} className="text-lg font-bold">
            {title}
          </h2>
          <div className="text-soft">{children}</div>
          <div className="mt-2 flex flex-wrap justify-end gap-2">
            <button type="button" className="act" onClick={onNo}>
              Cancel
            </button>
            <button type="button" className={risky ? 'act-risky' : 'act-main'} onClick={onYes}>
              {action}
            </button>
          </div>
        </div>
      )}
    </dialog>
  )
}
