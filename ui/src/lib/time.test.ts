import { expect, it } from 'vitest'

import { ago } from './time'

it.each([
  [0, 'just now'],
  [4_400, 'just now'],
  [12_000, '12 s ago'],
  [119_000, '1 min ago'],
  [3_600_000, '1 h ago'],
  [-5_000, 'just now'],
])('%s ms back is "%s"', (back, text) => expect(ago(1_000_000_000 - back, 1_000_000_000)).toBe(text))
