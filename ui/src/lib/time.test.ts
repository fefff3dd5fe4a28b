import { expect, it } from 'vitest'

import { ago, dateAndTime, preciseTime, timeOfDay } from './time'

it.each([
  [0, 'just now'],
  [4_400, 'just now'],
  [12_000, '12 s ago'],
  [119_000, '1 min ago'],
  [3_600_000, '1 h ago'],
  [-5_000, 'just now'],
])('%s ms back is "%s"', (back, text) => expect(ago(1_000_000_000 - back, 1_000_000_000)).toBe(text))

it('writes dates and times as it writes money: the American way', () => {
  const at = new Date(2026, 10, 22, 14, 3, 9, 42).getTime()
  // Intl puts a narrow no-break space before PM.
  const texts = [dateAndTime(at), timeOfDay(at), preciseTime(at)].map((text) => text.replaceAll('\u202f', ' '))
  expect(texts).toEqual(['Nov 22, 2026, 2:03 PM', '2:03:09 PM', '2:03:09.042 PM'])
})
