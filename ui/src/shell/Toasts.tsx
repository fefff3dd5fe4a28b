import { X } from 'lucide-react'
import { Link } from 'wouter'

import { useObservable } from '../lib/observable'
import { dismiss, toasts } from '../lib/toasts'

/** Short notes at the lower edge, or the upper one where the lower holds buttons, as on every phone. They take no focus and make no sound of their own: the live region speaks. */
export function Toasts({ atTop }: { atTop: boolean }) {
  const shown = useObservable(toasts)
  if (shown.length === 0) return null
  return (
    <section aria-label="Notes" className={`pointer-events-none fixed right-0 z-40 flex w-full flex-col items-center gap-2 px-4 ${atTop ? 'top-4 max-w-lg' : 'max-sm:top-4 sm:bottom-4'}`}>
      {shown.map(({ id, text, link }) => (
        <div key={id} className="animate-arrive pointer-events-auto flex w-full max-w-md items-center gap-2 rounded-lg bg-ink pl-4 text-paper shadow-xl">
          <p className="grow py-3 leading-snug">{text}</p>
          {link && (
            <Link href={link.href} onClick={() => dismiss(id)} className="inline-flex min-h-11 shrink-0 items-center px-2 font-semibold underline underline-offset-4">
              {link.label}
            </Link>
          )}
          <button type="button" onClick={() => dismiss(id)} className="grid size-11 shrink-0 place-items-center">
            <X size={18} aria-hidden />
            <span className="sr-only">Close note</span>
          </button>
        </div>
      ))}
    </section>
  )
}
