import { X } from 'lucide-react'
import { useEffect, useRef, type ReactNode } from 'react'

/** The filters where there is no room beside the list: a native dialog, as the cart is. */
export function FilterDialog({ open, onClose, result, children }: { open: boolean; onClose: () => void; result: string; children: ReactNode }) {
  const dialog = useRef<HTMLDialogElement>(null)
  useEffect(() => {
    if (open) dialog.current?.showModal()
    else dialog.current?.close()
  }, [open])
  return (
    <dialog
      ref={dialog}
      aria-labelledby="filter-title"
      onClose={onClose}
      closedby="any"
      className="m-0 h-dvh max-h-none w-full max-w-sm flex-col overflow-y-auto overscroll-contain bg-paper text-ink shadow-2xl backdrop:bg-black/50 open:flex"
    >
      {open && (
        <>
          <div className="flex items-center justify-between px-4 pt-4 sm:px-6">
            <h2 id="filter-title" className="text-2xl font-bold">
              Filter
            </h2>
            <button type="button" onClick={onClose} className="-mr-2.5 grid size-11 place-items-center rounded-lg hover:bg-well">
              <X size={22} aria-hidden />
              <span className="sr-only">Close filters</span>
            </button>
          </div>
          <div className="flex grow flex-col gap-7 px-4 py-5 sm:px-6">{children}</div>
          <div className="sticky bottom-0 border-t border-line bg-paper px-4 py-3 sm:px-6">
            <button type="button" onClick={onClose} className="btn-main w-full">
              {result}
            </button>
          </div>
        </>
      )}
    </dialog>
  )
}
