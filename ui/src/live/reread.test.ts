import { expect, it } from 'vitest'

import { needsReading } from './reread'

it.each([
  ['live', 0, false],
  ['catching-up', 0, false],
  ['connecting', 1_000, false],
  ['connecting', 9_000, true],
  ['stale', 0, true],
  ['offline', 0, true],
] as const)('a page that is %s for %i ms reads by itself: %s', (phase, ms, reads) => expect(needsReading({ phase, since: 100_000 - ms }, 100_000)).toBe(reads))
