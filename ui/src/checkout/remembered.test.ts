import { expect, it } from 'vitest'

import { NO_ADDRESS } from './address'
import { readDelivery } from './remembered'

it('gives back what was kept', () => {
  const delivery = { address: { ...NO_ADDRESS, name: 'Ada', city: 'Utrecht' }, paymentMethod: 'PAYPAL' }
  expect(readDelivery(JSON.stringify(delivery))).toEqual(delivery)
})

it.each([null, '', '{', 'null', '[]', '{"address":7}', '{"address":{"name":7},"paymentMethod":"toString"}'])('takes %j for nothing', (kept) =>
  expect(readDelivery(kept)).toEqual({ address: NO_ADDRESS, paymentMethod: 'CREDIT_CARD' }),
)
