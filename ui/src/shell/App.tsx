import { lazy, Suspense, useEffect } from 'react'
import { Route, Switch } from 'wouter'

import { cartDrawer } from '../cart/drawer'
import { GridPage } from '../grid/GridPage'
import { idIn, usePathname } from '../lib/address'
import { useObservable } from '../lib/observable'
import { ConnectionBanner } from './ConnectionBanner'
import { Footer } from './Footer'
import { Header } from './Header'
import { Mishap } from './Mishap'
import { NotFound } from './NotFound'
import { Notes } from './Notes'
import { useArrivals } from './useArrivals'

const pages = {
  product: () => import('../product/ProductPage'),
  cart: () => import('../cart/CartPage'),
  checkout: () => import('../checkout/CheckoutPage'),
  orders: () => import('../orders/OrdersPage'),
  order: () => import('../orders/OrderPage'),
}
const ProductPage = lazy(async () => ({ default: (await pages.product()).ProductPage }))
const CartPage = lazy(async () => ({ default: (await pages.cart()).CartPage }))
// It leads to the order's page, which must be here even if the shop dies right after it took the order.
const CheckoutPage = lazy(async () => ({ default: (await Promise.all([pages.checkout(), pages.order()]))[0].CheckoutPage }))
const OrdersPage = lazy(async () => ({ default: (await pages.orders()).OrdersPage }))
const OrderPage = lazy(async () => ({ default: (await pages.order()).OrderPage }))

/** Pages come in parts of their own. They are fetched once the first is at rest: a click then finds them here. */
const FETCHED_AFTER_MS = 2_000

export function App() {
  useArrivals()
  useEffect(() => {
    const timer = setTimeout(() => Object.values(pages).forEach((fetchPage) => void fetchPage().catch(() => undefined)), FETCHED_AFTER_MS)
    return () => clearTimeout(timer)
  }, [])
  const drawerOpen = useObservable(cartDrawer)
  const path = usePathname()
  const id = idIn(path)
  const isGrid = path === '/' || path === '/products'
  return (
    <div>
      <a href="#main" className="btn-main sr-only focus:not-sr-only focus:fixed focus:left-3 focus:top-3 focus:z-50">
        Skip to content
      </a>
      <Header />
      {/* As high as the window whatever it holds yet: the footer never stands where content is still to come. */}
      <main id="main" tabIndex={-1} className={`mx-auto min-h-dvh w-full px-4 pb-20 sm:px-6 ${isGrid ? 'max-w-[120rem]' : 'max-w-[84rem]'}`}>
        <Mishap>
          <Suspense fallback={<div aria-busy="true" />}>
            <Switch>
              <Route path="/" component={GridPage} />
              <Route path="/products" component={GridPage} />
              <Route path="/product/:id">
                <ProductPage key={id} productId={id} />
              </Route>
              <Route path="/cart" component={CartPage} />
              <Route path="/checkout" component={CheckoutPage} />
              <Route path="/orders" component={OrdersPage} />
              <Route path="/orders/:id">
                <OrderPage key={id} orderId={id} />
              </Route>
              <Route>
                <NotFound />
              </Route>
            </Switch>
          </Suspense>
        </Mishap>
      </main>
      <Footer />
      <ConnectionBanner />
      {!drawerOpen && <Notes />}
    </div>
  )
}
