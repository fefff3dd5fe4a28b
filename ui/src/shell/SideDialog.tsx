import { X } from 'lucide-react'
import { useEffect, useRef, type ReactNode } from 'react'

type Props = { open: boolean; onOpen?: () => void; onClose: () => void; titleId: string; className: string; children: ReactNode }

/** A native dialog beside the page: the browser keeps the focus inside, closes on Escape and gives the focus back. What it holds is drawn only while it is open. */
export function SideDialog({ open, onOpen, onClose, titleId, className, children }: Props) {
  const dialog = useRef<HTMLDialogElement>(null)
  const opening = useRef(onOpen)
  useEffect(() => {
    if (!open) return dialog.current?.close()
    opening.current?.()
    dialog.current?.showModal()
  }, [open])
  return (
    <dialog
      ref={dialog}
      aria-labelledby={titleId}
      onClose={onClose}
      closedby="any"
      className={`m-0 h-dvh max-h-none w-full overflow-y-auto overscroll-contain bg-paper text-ink shadow-2xl backdrop:bg-black/50 ${className}`}
    >
      {open && children}
    </dialog>
  )
}

/** Its title, and the button that closes it. */
export function SideTitle({ id, title, close, onClose, className }: { id: string; title: string; close: string; onClose: () => void; className: string }) {
  return (
    <div className={`flex items-center justify-between ${className}`}>
      <h2 id={id} className="text-2xl font-bold">
        {title}
      </h2>
      <button type="button" onClick={onClose} className="-mr-2.5 grid size-11 place-items-center rounded-lg hover:bg-well">
        <X size={22} aria-hidden />
        <span className="sr-only">{close}</span>
      </button>
    </div>
  )
}
