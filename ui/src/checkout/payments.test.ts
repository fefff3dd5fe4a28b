import { expect, test } from 'vitest'

import { paymentName } from './payments'

test('a way to pay has a name, and an unknown one is its own', () => {
  expect(paymentName('BANK_TRANSFER')).toBe('Bank transfer')
  expect(paymentName('toString')).toBe('toString')
})
