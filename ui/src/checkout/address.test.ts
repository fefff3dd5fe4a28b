import { describe, expect, it } from 'vitest'

import { NO_ADDRESS, problemsOf, readAddress } from './address'

const good = { name: 'Ada Example', street: '1 Long Lane', city: 'Utrecht', state: '', zipCode: '3511', country: 'Netherlands' }

it('trims what was typed and names what is missing, except the state', () => {
  const form = new FormData()
  for (const [name, value] of [['name', '  Ada   Example '], ['street', ' '], ['city', 'Utrecht'], ['zipCode', '3511']] as const) form.set(name, value)
  const address = readAddress(form)
  expect(address).toEqual({ name: 'Ada Example', street: '', city: 'Utrecht', state: '', zipCode: '3511', country: '' })
  expect(problemsOf(address)).toEqual({ street: 'Street and number is missing', country: 'Country is missing' })
})

describe('an address', () => {
  it.each([
    good,
    { ...good, name: 'Ó', city: 'Å', zipCode: 'D6W' },
    { name: '山田 太郎', street: '千代田区千代田1-1', city: '東京', state: '東京都', zipCode: '100-0001', country: '日本' },
    { ...good, name: "Siobhán O'Brien-Núñez Jr.", street: 'Hauptstraße 5/7', zipCode: 'SW1A 1AA', city: '6th of October City' },
  ])('may be %j', (address) => expect(problemsOf(address)).toEqual({}))

  it.each([
    ['name', '12345'],
    ['name', '...'],
    ['name', 'xxxxxxxx'],
    ['street', '!!!'],
    ['city', '??'],
    ['state', '--'],
    ['zipCode', '---'],
    ['zipCode', '<script>'],
    ['zipCode', '1'],
    ['country', 'Country 17'],
    ['country', '\u202Eevil'],
  ] as const)('can’t have the %s %j', (field, text) => expect(Object.keys(problemsOf({ ...good, [field]: text }))).toEqual([field]))

  it('is missing everything but the state when it is empty', () => expect(Object.keys(problemsOf(NO_ADDRESS))).toHaveLength(5))
})
