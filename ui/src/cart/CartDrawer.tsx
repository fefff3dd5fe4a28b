import { X } from 'lucide-react'
import { useEffect, useRef } from 'react'

import { useObservable } from '../lib/observable'
import { dismissAll } from '../lib/toasts'
import { Notes } from '../shell/Notes'
import { CartContents } from './CartContents'
import { cartDrawer } from './drawer'

const close = () => cartDrawer.set(false)

/** The cart beside the page, in a native dialog: the browser keeps the focus inside, closes on Escape and gives the focus back. */
export function CartDrawer() {
  const open = useObservable(cartDrawer)
  const dialog = useRef<HTMLDialogElement>(null)

  useEffect(() => {
    if (!open) return dialog.current?.close()
    dismissAll()
    dialog.current?.showModal()
  }, [open])

  return (
    <dialog
      ref={dialog}
      aria-labelledby="cart-title"
      onClose={close}
      closedby="any"
      className="m-0 ml-auto h-dvh max-h-none w-full max-w-lg overflow-y-auto overscroll-contain bg-paper text-ink shadow-2xl backdrop:bg-black/50"
    >
      {open && (
        <div data-cart tabIndex={-1} className="flex min-h-full flex-col p-4 outline-none sm:p-6 [@media(min-height:34rem)]:h-full">
          <div className="flex shrink-0 items-center justify-between">
            <h2 id="cart-title" className="text-2xl font-bold">
              Your cart
            </h2>
            <button type="button" onClick={close} className="-mr-2.5 grid size-11 place-items-center rounded-lg hover:bg-well">
              <X size={22} aria-hidden />
              <span className="sr-only">Close cart</span>
            </button>
          </div>
          <CartContents onLeave={close} />
          <Notes inDialog />
        </div>
      )}
    </dialog>
  )
}
