import { afterEach, beforeEach, expect, it, vi } from 'vitest'

import { dismissAll, holdToasts, toast, toasts } from './toasts'

const texts = () => toasts.get().map(({ text }) => text)

beforeEach(() => vi.useFakeTimers())
afterEach(() => {
  holdToasts(false)
  dismissAll()
  vi.useRealTimers()
})

it('goes by itself', () => {
  toast('a')
  vi.advanceTimersByTime(60_000)
  expect(texts()).toEqual([])
})

it('stays while it is held, also when more come, and goes afterwards', () => {
  toast('a')
  holdToasts(true)
  for (const text of ['b', 'c', 'd']) toast(text)
  vi.advanceTimersByTime(60_000)
  expect(texts()).toEqual(['a', 'b', 'c', 'd'])
  holdToasts(false)
  expect(texts()).toEqual([])
})
