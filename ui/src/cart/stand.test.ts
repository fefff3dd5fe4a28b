import { expect, it } from 'vitest'

import { aLine, aProduct } from '../testing'
import type { LiveProduct } from '../live/catalogue'
import { standOf } from './stand'

const live = (inventory: number, removed = false) => ({ product: aProduct({ inventory }), removed }) as LiveProduct
const line = (available = true) => ({ ...aLine('A', 5), available })

it.each([
  ['enough of it', line(), live(5), true, { is: 'fine' }],
  ['fewer than asked for', line(), live(2), true, { is: 'short', left: 2 }],
  ['none', line(), live(0), true, { is: 'out' }],
  ['removed while the page was open', line(true), live(5, true), true, { is: 'gone' }],
  ['removed, as the server says', line(false), live(5), true, { is: 'gone' }],
  ['unknown to a page that knows everything', line(), undefined, true, { is: 'gone' }],
  ['unknown to a page that knows a part', line(), undefined, false, { is: 'fine' }],
] as const)('%s', (_, cartLine, product, isWhole, stand) => expect(standOf(cartLine, product, isWhole)).toEqual(stand))
