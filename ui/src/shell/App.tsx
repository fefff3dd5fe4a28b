import { Route, Switch } from 'wouter'

import { CartPage } from '../cart/CartPage'
import { cartDrawer } from '../cart/drawer'
import { CheckoutPage } from '../checkout/CheckoutPage'
import { GridPage } from '../grid/GridPage'
import { idIn, usePathname } from '../lib/address'
import { useObservable } from '../lib/observable'
import { OrderPage } from '../orders/OrderPage'
import { OrdersPage } from '../orders/OrdersPage'
import { ProductPage } from '../product/ProductPage'
import { ConnectionBanner } from './ConnectionBanner'
import { Footer } from './Footer'
import { Header } from './Header'
import { Mishap } from './Mishap'
import { NotFound } from './NotFound'
import { Notes } from './Notes'
import { useArrivals } from './useArrivals'

export function App() {
  useArrivals()
  const drawerOpen = useObservable(cartDrawer)
  const id = idIn(usePathname())
  return (
    <div className="flex min-h-dvh flex-col">
      <a href="#main" className="btn-main sr-only focus:not-sr-only focus:absolute focus:left-3 focus:top-3 focus:z-50">
        Skip to content
      </a>
      <Header />
      <ConnectionBanner />
      <main id="main" tabIndex={-1} className="mx-auto w-full max-w-[84rem] grow px-4 pb-20 sm:px-6">
        <Mishap>
          <Switch>
            <Route path="/" component={GridPage} />
            <Route path="/products" component={GridPage} />
            <Route path="/product/:id"><ProductPage key={id} productId={id} /></Route>
            <Route path="/cart" component={CartPage} />
            <Route path="/checkout" component={CheckoutPage} />
            <Route path="/orders" component={OrdersPage} />
            <Route path="/orders/:id"><OrderPage key={id} orderId={id} /></Route>
            <Route>
              <NotFound />
            </Route>
          </Switch>
        </Mishap>
      </main>
      <Footer />
      {!drawerOpen && <Notes />}
    </div>
  )
}
