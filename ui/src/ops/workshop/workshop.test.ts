import { expect, test } from 'vitest'

import { standing, summary, type Check, type Report } from './workshop'

const check = (passed: boolean): Check => ({ kind: 'check', name: 'a', question: 'page', passed, local: true })
const report = (state: 'green' | 'red' | 'unchecked'): Report => ({ place: '3', title: 'Buy', done: false, checks: [{ name: 'a', kind: 'page', state }] })

test('a check stands as it was found now, or when it was checked last', () => {
  expect(standing(check(false), undefined)).toBe('unknown')
  expect(standing(check(true), undefined)).toBe('green')
  expect(standing(check(true), report('red'))).toBe('red')
  expect(standing(check(false), report('unchecked'))).toBe('unchecked')
  expect(standing(check(true), report('unchecked')), 'the command line found it green before').toBe('green')
})

test('the summary says what is left to the command line', () => {
  expect(summary(report('green'))).toBe('1 of 1 checks are green.')
  expect(summary(report('unchecked'))).toBe('0 of 1 checks are green. 1 needs your machine: run kartshoppe workshop check 3.')
})
