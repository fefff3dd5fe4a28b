import { Package, ShoppingBasket } from 'lucide-react'
import { Link, useLocation } from 'wouter'

import { CartDrawer } from '../cart/CartDrawer'
import { cartDrawer } from '../cart/drawer'
import { useCart } from '../cart/cart'
import { unitsIn } from '../cart/wishes'
import { count } from '../lib/locale'
import { LiveMark } from './LiveMark'
import { SearchBox } from './SearchBox'
import { Wordmark } from './Wordmark'

/** One row at every width, always in reach. */
export function Header() {
  const [path] = useLocation()
  const { lines } = useCart()
  const units = unitsIn(lines)
  return (
    <header className="sticky top-0 z-20 border-b border-line bg-paper">
      <div className="mx-auto flex h-16 w-full max-w-[120rem] items-center gap-x-2 px-4 sm:gap-x-4 sm:px-6">
        <Link href="/" className="inline-flex min-h-11 shrink-0 items-center" aria-label="KartShoppe, all products">
          <Wordmark />
        </Link>
        <LiveMark />
        <SearchBox />
        <nav aria-label="Your shopping" className="-mr-3 ml-auto flex shrink-0 items-center sm:gap-1">
          <Link href="/orders" className="btn px-3 hover:bg-well" aria-current={path === '/orders' ? 'page' : undefined}>
            <Package size={20} aria-hidden />
            <span className="max-lg:sr-only">Orders</span>
          </Link>
          <button type="button" onClick={() => cartDrawer.set(true)} className="btn relative px-3 hover:bg-well" aria-haspopup="dialog">
            <ShoppingBasket size={20} aria-hidden />
            <span className="max-lg:sr-only">Cart</span>
            {units > 0 && (
              <span data-testid="cart-count" className="min-w-7 rounded-md bg-label px-1.5 text-center font-bold tabular-nums text-on-label max-lg:absolute max-lg:right-0 max-lg:top-0 max-lg:min-w-5 max-lg:px-1 max-lg:text-sm">
                {count(units)}
                <span className="sr-only"> {units === 1 ? 'item' : 'items'}</span>
              </span>
            )}
          </button>
        </nav>
      </div>
      <CartDrawer />
    </header>
  )
}
