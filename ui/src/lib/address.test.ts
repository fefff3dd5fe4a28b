import { expect, it } from 'vitest'

import { idIn, orderHref, productHref } from './address'

it.each(['PROD_0001', 'SKU:1', 'A&B', 'C++', 'a/b', 'a%2Fb', 'a%252Fb', '50%', 'x?y#z', '...', '%2E%2E', ' a b ', 'a,b;c=d@e$', 'back\\slash', '图书📚'])(
  '%j is found again in its address',
  (id) => {
    for (const href of [productHref(id), orderHref(id)]) {
      const { pathname, search, hash } = new URL(href, 'http://shop.example')
      expect([idIn(pathname), idIn(`${pathname}/`), search, hash]).toEqual([id, id, '', ''])
    }
  },
)

it.each([
  ['/product/50%', '50%'],
  ['/product/SKU:1', 'SKU:1'],
  ['/product/%FF', '%FF'],
  ['/product', ''],
])('%s names %j', (pathname, id) => expect(idIn(pathname)).toBe(id))
