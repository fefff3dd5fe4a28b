import { X } from 'lucide-react'
import { useEffect, useRef, type RefObject } from 'react'
import { Link } from 'wouter'

import { useObservable } from '../lib/observable'
import { dismiss, holdToasts, toasts, type Toast } from '../lib/toasts'

/** Short notes at the lower edge, or the upper one where the lower holds buttons, as on every phone. */
export function Toasts({ atTop }: { atTop: boolean }) {
  const shown = useObservable(toasts)
  return shown.length > 0 && <Shown notes={shown} atTop={atTop} />
}

/** They take no focus and make no sound of their own: the live region speaks. Under the focus or the pointer they stay; closing one gives the focus back. */
function Shown({ notes, atTop }: { notes: readonly Toast[]; atTop: boolean }) {
  const { section, leave } = useHeld()
  const close = (id: number) => {
    dismiss(id)
    leave()
  }
  return (
    <section
      ref={section}
      aria-label="Notes"
      className={`pointer-events-none fixed right-0 z-40 flex w-full flex-col items-center gap-2 px-4 ${atTop ? 'top-4 max-w-lg' : 'max-sm:top-4 sm:bottom-4'}`}
    >
      {notes.map(({ id, text, link }) => (
        <div key={id} className="animate-arrive pointer-events-auto flex w-full max-w-md items-center gap-2 rounded-lg border border-transparent bg-ink pl-4 text-paper shadow-xl">
          <p className="line-clamp-4 min-w-0 grow py-3 leading-snug">{text}</p>
          {link && (
            <Link href={link.href} onClick={() => dismiss(id)} className="inline-flex min-h-11 shrink-0 items-center px-2 font-semibold underline underline-offset-4">
              {link.label}
            </Link>
          )}
          <button type="button" onClick={() => close(id)} className="grid size-11 shrink-0 place-items-center">
            <X size={18} aria-hidden />
            <span className="sr-only">Close note</span>
          </button>
        </div>
      ))}
    </section>
  )
}

/** Holds the notes while the focus or the pointer is on them. `leave` gives the focus back to what had it before they did. */
function useHeld(): { section: RefObject<HTMLElement | null>; leave: () => void } {
  const section = useRef<HTMLElement>(null)
  const before = useRef<HTMLElement | null>(null)
  useEffect(() => {
    const notes = section.current
    if (!notes) return
    const at = { focus: false, pointer: false }
    const hold = (change: Partial<typeof at>) => {
      Object.assign(at, change)
      holdToasts(at.focus || at.pointer)
    }
    const end = new AbortController()
    const { signal } = end
    notes.addEventListener(
      'focusin',
      ({ relatedTarget }) => {
        if (relatedTarget instanceof HTMLElement && !notes.contains(relatedTarget)) before.current = relatedTarget
        hold({ focus: true })
      },
      { signal },
    )
    notes.addEventListener('focusout', () => hold({ focus: false }), { signal })
    notes.addEventListener('pointerenter', () => hold({ pointer: true }), { signal })
    notes.addEventListener('pointerleave', () => hold({ pointer: false }), { signal })
    return () => {
      end.abort()
      // Notes that go take no event along.
      holdToasts(false)
    }
  }, [])
  const leave = () => {
    const origin = before.current?.isConnected ? before.current : document.getElementById('main')
    origin?.focus({ preventScroll: true })
  }
  return { section, leave }
}
