import { useTitle } from '../shell/useTitle'
import { CartContents } from './CartContents'

export function CartPage() {
  useTitle('Cart')
  return (
    <div data-cart tabIndex={-1} className="mx-auto max-w-3xl pt-8 outline-none">
      <h1 className="text-3xl font-bold sm:text-[2.6rem]">Your cart</h1>
      <CartContents />
    </div>
  )
}
