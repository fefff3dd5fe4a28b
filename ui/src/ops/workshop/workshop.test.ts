import { expect, test } from 'vitest'

import { isText, partsOf, picturesOf, standing, summary, type Check, type Report } from './workshop'

const check = (passed: boolean): Check => ({ kind: 'check', name: 'a', question: 'page', passed, local: true, always: false })
const report = (state: 'green' | 'red' | 'unchecked'): Report => ({ place: '3', title: 'Buy', done: false, checks: [{ name: 'a', kind: 'page', state }] })

test('a check stands as it was found now, or when it was checked last', () => {
  expect(standing(check(false), undefined)).toBe('unknown')
  expect(standing(check(true), undefined)).toBe('green')
  expect(standing(check(true), report('red'))).toBe('red')
  expect(standing(check(false), report('unchecked'))).toBe('unchecked')
  expect(standing(check(true), report('unchecked')), 'the command line found it green before').toBe('green')
})

test('the summary says what is left to the command line', () => {
  expect(summary(report('green'), [check(false)])).toBe('1 of 1 checks are green.')
  expect(summary(report('unchecked'), [check(false)])).toBe('0 of 1 checks are green. 1 needs your machine: run kartshoppe workshop check 3.')
  expect(summary(report('unchecked'), [check(true)]), 'the command line found it green before').toBe('1 of 1 checks are green.')
})

test('what can be typed is apart from the text, as it is typed', () => {
  expect(partsOf('<p>a</p>\n<pre tabindex="0"><code class="language-sh">echo &quot;$PWD&quot; &amp;&amp; b &lt;c\n</code></pre>\n<p>d</p>\n')).toEqual([
    { html: '<p>a</p>\n' },
    { typed: 'echo "$PWD" && b <c' },
    { html: '<p>d</p>\n' },
  ])
  expect(partsOf('<pre tabindex="0"><code class="language-json">{}</code></pre>')).toHaveLength(1)
})

test('a text is known by its place alone', () => {
  expect(['troubleshooting', 'exercises', 'agenda'].every(isText)).toBe(true)
  expect([undefined, '', '3', 'E3', 'toString', 'Troubleshooting'].some(isText)).toBe(false)
})

test('the pictures of a text are those that it shows', () => {
  const html = '<p>src="/a.webp" <img width="10" height="5" src="/workshop/pictures/a.webp" alt="A" /></p><p><img width="1" height="1" src="/workshop/pictures/b.webp" alt="" /></p>'
  expect(picturesOf(html)).toEqual(['/workshop/pictures/a.webp', '/workshop/pictures/b.webp'])
})
