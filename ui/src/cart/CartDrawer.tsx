import { useObservable } from '../lib/observable'
import { dismissAll } from '../lib/toasts'
import { Notes } from '../shell/Notes'
import { SideDialog, SideTitle } from '../shell/SideDialog'
import { CartContents } from './CartContents'
import { cartDrawer } from './drawer'

const close = () => cartDrawer.set(false)

/** The cart beside the page. Its own notes replace those of the page. */
export function CartDrawer() {
  const open = useObservable(cartDrawer)
  return (
    <SideDialog open={open} onOpen={dismissAll} onClose={close} titleId="cart-title" className="ml-auto max-w-lg">
      <div data-cart tabIndex={-1} className="flex min-h-full flex-col p-4 outline-none sm:p-6 [@media(min-height:34rem)]:h-full">
        <SideTitle id="cart-title" title="Your cart" close="Close cart" onClose={close} className="shrink-0" />
        <CartContents onLeave={close} />
        <Notes inDialog />
      </div>
    </SideDialog>
  )
}
