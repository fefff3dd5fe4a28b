import { useEffect, useState } from 'react'

import { forgetOwnChanges, ownChanges } from '../cart/cart'
import { announce } from '../lib/announcer'
import { money } from '../lib/money'
import type { Cart } from '../wire'
import { agreementOn, compare, type Agreement, type Comparison } from './agreement'

type Agreeing = { agreement: Agreement | null; comparison: Comparison; accept: () => void }

/**
 * The total as it was first shown. It follows the shopper's own changes of quantity; anything else (a price, another tab, a product that is
 * no longer sold) is shown and must be accepted. `waiting`: the cart's sums are not final yet. `frozen`: an order is being placed.
 */
export function useAgreement(cart: Cart | undefined, waiting: boolean, frozen: boolean): Agreeing {
  const [agreement, setAgreement] = useState<Agreement | null>(null)
  const settled = cart !== undefined && !waiting && !frozen
  const comparison: Comparison = settled && agreement ? compare(agreement, cart, ownChanges()) : { is: 'same' }
  if (settled && (agreement === null || comparison.is === 'own')) setAgreement(agreementOn(cart))

  // What led to this agreement explains no later change.
  useEffect(() => {
    if (agreement) forgetOwnChanges()
  }, [agreement])

  const from = comparison.is === 'changed' ? comparison.from : null
  const to = comparison.is === 'changed' ? comparison.to : null
  useEffect(() => {
    if (from !== null) announce(`The total has changed from ${money(from)} to ${money(to)}. Accept it before you place the order.`)
  }, [from, to])
  return { agreement, comparison, accept: () => cart && setAgreement(agreementOn(cart)) }
}
