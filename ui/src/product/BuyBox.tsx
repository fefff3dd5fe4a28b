import { useState } from 'react'

import { useCart } from '../cart/cart'
import { Stepper } from '../cart/Stepper'
import type { LiveProduct } from '../live/catalogue'
import { count } from '../lib/locale'
import { stockOf } from './stock'
import { useAdd } from './useAdd'

/** How many, and into the cart with them. */
export function BuyBox({ live }: { live: LiveProduct }) {
  const { product } = live
  const [quantity, setQuantity] = useState(1)
  const { add } = useAdd(product)
  const stock = stockOf(live, false)
  const buyable = stock === 'in' || stock === 'low'
  const inCart = useCart().lines.find((line) => line.productId === product.productId)?.quantity ?? 0
  const wanted = quantity + inCart
  return (
    <div className="mt-5">
      <div className="flex flex-wrap items-center gap-3">
        <Stepper label={product.name} quantity={quantity} least={1} onChange={setQuantity} disabled={!buyable} />
        <button
          type="button"
          className="btn-main px-7"
          disabled={!buyable}
          onClick={() => {
            add(quantity)
            setQuantity(1)
          }}
        >
          {buyable ? 'Add to cart' : stock === 'gone' ? 'No longer sold' : 'Sold out'}
        </button>
        {inCart > 0 && <span className="text-[0.95rem] tabular-nums text-soft">{count(inCart)} in your cart</span>}
      </div>
      {buyable && wanted > product.inventory && (
        <p className="mt-3 max-w-prose text-[0.95rem] text-low">
          Only {count(product.inventory)} in stock: of an order of {count(wanted)}, {count(wanted - product.inventory)} would be unavailable.
        </p>
      )}
    </div>
  )
}
