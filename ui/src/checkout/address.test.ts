import { expect, it } from 'vitest'

import { problemsOf, readAddress } from './address'

it('trims what was typed and names what is missing, except the state', () => {
  const form = new FormData()
  for (const [name, value] of [['name', '  Ada '], ['street', ' '], ['city', 'Utrecht'], ['zipCode', '3511']] as const) form.set(name, value)
  const address = readAddress(form)
  expect(address).toEqual({ name: 'Ada', street: '', city: 'Utrecht', state: '', zipCode: '3511', country: '' })
  expect(problemsOf(address)).toEqual({ street: 'Street and number is missing', country: 'Country is missing' })
})
