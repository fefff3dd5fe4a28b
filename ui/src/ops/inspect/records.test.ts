import { describe, expect, it } from 'vitest'

import { causeOf, indented, sizeOf, snippet } from './records'

describe('values', () => {
  it('keep their numbers, keys and escapes when they are indented', () => {
    const json = '{"b":1.50,"a":9007199254740993,"b":[],"c":{"d":"x\\"{,y","e":[1e2,null]},"f":{}}'
    const text = indented(json)
    expect(text).toBe('{\n  "b": 1.50,\n  "a": 9007199254740993,\n  "b": [],\n  "c": {\n    "d": "x\\"{,y",\n    "e": [\n      1e2,\n      null\n    ]\n  },\n  "f": {}\n}')
    expect(indented(text)).toBe(text)
  })

  it('are distinguished when there is nothing to be seen', () => {
    const record = { topic: 't', partition: 0, offset: 0, timestamp: 0 }
    expect(snippet({ ...record, value: null, valueType: 'tombstone' })).toBe('tombstone (no value)')
    expect(snippet({ ...record, value: '', valueType: 'text' })).toBe('empty text')
    expect(snippet({ ...record, value: 'null', valueType: 'json' })).toBe('null')
    expect(snippet({ ...record, value: 'x'.repeat(500), valueType: 'text' })).toHaveLength(401)
  })
})

describe('causes', () => {
  it('lead to records, and only to those', () => {
    expect(causeOf({ 'kartshoppe-cause': 'order-events/2/1234/0' })).toBe('order-events/2/1234')
    for (const other of ['file/0', 'timer/17', '', 'a/b/c', '../admin/1/2']) expect(causeOf({ 'kartshoppe-cause': other })).toBeNull()
    expect(causeOf()).toBeNull()
  })
})

describe('sizes', () => {
  it('are those of the bytes', () => {
    expect(['', 'YQ==', 'YWI=', 'YWJj'].map(sizeOf)).toEqual([0, 1, 2, 3])
  })
})
