import { expect, test } from 'vitest'

import { bodyOf, copyOf, draftOf, EMPTY_DRAFT, faultsOf, readExactly, searchOf, type Draft } from './draft'

test('a draft survives its address', () => {
  const drafts: Draft[] = [
    EMPTY_DRAFT,
    { topic: 'order-events', hasKey: true, key: '', kind: 'text', value: 'a&b=c #d\n', headers: [['x', 'a:b'], ['y', '']], partition: '3' },
    { topic: 'products', hasKey: true, key: 'A/1', kind: 'none', value: '', headers: [], partition: '' },
  ]
  for (const draft of drafts) expect(draftOf(`?${searchOf(draft)}`)).toEqual(draft)
  expect(searchOf({ ...EMPTY_DRAFT, value: 'x'.repeat(10_000) }).length).toBeLessThan(4_000)
})

const body = (more: Partial<Draft>) => bodyOf({ ...EMPTY_DRAFT, ...more })

test('each kind of value is another body', () => {
  expect(body({ value: '12345678901234567890' })).toEqual({ valueBase64: btoa('12345678901234567890') })
  expect(body({ value: 'null' })).toEqual({ valueBase64: btoa('null') })
  expect(body({ kind: 'empty', value: 'left over' })).toEqual({ valueBase64: '' })
  expect(body({ kind: 'none', hasKey: true, key: 'A' })).toEqual({ key: 'A', value: null })
  expect(body({ kind: 'text', value: 'é' })).toEqual({ valueBase64: 'w6k=' })
  expect(body({ kind: 'empty', headers: [['x', '1']], partition: '2' })).toEqual({ valueBase64: '', headers: { x: '1' }, partition: 2 })
})

test('what cannot be sent says why', () => {
  expect(faultsOf({ ...EMPTY_DRAFT, value: '{' }).value).toContain('no JSON')
  expect(faultsOf({ ...EMPTY_DRAFT, kind: 'text', value: '{' })).toEqual({})
  expect(faultsOf({ ...EMPTY_DRAFT, kind: 'none' }).key).toContain('tombstone')
  expect(faultsOf({ ...EMPTY_DRAFT, kind: 'empty', headers: [['', 'x']] }).headers).toContain('name')
  expect(faultsOf({ ...EMPTY_DRAFT, kind: 'empty', headers: [['a', '1'], ['a', '2']] }).headers).toContain('once')
})

test('a copy leaves out where the record came from', () => {
  const record = { topic: 'product-updates', partition: 1, offset: 2, key: 'A', value: { productId: 'A' }, headers: { 'kartshoppe-cause': 'x', traceparent: 'y', mine: 'z' } }
  expect(copyOf(record)).toEqual({ topic: 'product-updates', hasKey: true, key: 'A', kind: 'json', value: '{\n  "productId": "A"\n}', headers: [['mine', 'z']], partition: '' })
  expect(copyOf({ ...record, value: null }).kind).toBe('none')
  expect(copyOf({ ...record, key: null, value: '' })).toMatchObject({ hasKey: false, kind: 'empty' })
})

test('reading changes no text that it need not', () => {
  expect(readExactly('{"offset":7}')).toEqual({ offset: 7 })
  if ('rawJSON' in JSON) expect(JSON.stringify(readExactly('{"big":12345678901234567890,"price":9.50}'))).toBe('{"big":12345678901234567890,"price":9.50}')
  expect(JSON.stringify(readExactly('{"b":1,"a":"x"}'))).toBe('{"b":1,"a":"x"}')
})
