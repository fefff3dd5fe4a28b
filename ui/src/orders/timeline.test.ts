import { describe, expect, it } from 'vitest'

import { duration, timelineOf, type ServerStep, type Timed } from './timeline'

const step = (name: ServerStep['step'], at: number, clock: ServerStep['clock']): ServerStep => ({ step: name, at, clock })
const WAY = [step('placed', 1_000, 'database'), step('published', 1_030, 'broker'), step('applied', 1_090, 'shop'), step('settled', 1_203, 'database')]
const order = (fields: Partial<Timed> = {}): Timed => ({ useCdc: false, status: 'CONFIRMED', createdAt: 1_000, timeline: WAY, ...fields })

describe('the timeline of an order', () => {
  it('gives each step its time since the one before, and its clock', () => {
    const { steps, totalMs } = timelineOf(order())
    expect(steps.map(({ name, sinceMs, clock, exact }) => [name, sinceMs, clock, exact])).toEqual([
      ['Placed', null, 'database', false],
      ['Published', 30, 'broker', false],
      ['Applied', 60, 'shop', false],
      ['Committed', 113, 'database', false],
    ])
    expect(totalMs).toBe(203)
  })

  it('says how a captured order was published', () => {
    expect(timelineOf(order({ useCdc: true })).steps[1]).toMatchObject({ name: 'Read from the WAL', what: 'published by the change-data-capture reader' })
  })

  it('is never negative, whatever the clocks say, and counts on from the latest time', () => {
    const odd = [step('placed', 1_000, 'database'), step('published', 400, 'broker'), step('applied', 1_010, 'shop'), step('settled', 900, 'database')]
    const { steps, totalMs } = timelineOf(order({ timeline: odd }))
    expect(steps.map(({ sinceMs }) => sinceMs)).toEqual([null, 0, 10, 0])
    expect(totalMs).toBe(0)
  })

  it('has all steps before they happen, in order, however they come', () => {
    const { steps, totalMs } = timelineOf(order({ status: 'PENDING', timeline: [step('published', 1_030, 'broker'), step('placed', 1_000, 'database')] }))
    expect(steps.map(({ at }) => at)).toEqual([1_000, 1_030, null, null])
    expect(totalMs).toBeNull()
  })

  it('skips over a step that is missing', () => {
    const { steps } = timelineOf(order({ timeline: [step('placed', 1_000, 'database'), step('settled', 1_203, 'database')] }))
    expect(steps.map(({ sinceMs, exact }) => [sinceMs, exact])).toEqual([[null, false], [null, false], [null, false], [203, true]])
  })

  it('takes what the order says where it lists no steps', () => {
    const { timeline: _, ...bare } = order()
    expect(timelineOf(bare).steps[0]).toMatchObject({ at: 1_000, clock: 'database' })
    expect(timelineOf(bare).totalMs).toBeNull()
  })

  it('measures this page by this device’s clock alone', () => {
    const hoursOff = 7_200_000
    expect(timelineOf(order(), { askedAt: hoursOff, toldAt: hoursOff + 240 }).steps.at(-1)).toMatchObject({ step: 'told', sinceMs: 240, clock: 'page', exact: true })
    expect(timelineOf(order(), { askedAt: 5, toldAt: 4 }).steps.at(-1)?.sinceMs).toBe(0)
    expect(timelineOf(order(), { askedAt: 5, toldAt: null }).steps.at(-1)).toMatchObject({ at: null, sinceMs: null, clock: null })
  })
})

it.each([
  [0, '0 ms'],
  [203.4, '203 ms'],
  [12_450, '12.4 s'],
  [59_990, '59.9 s'],
  [200_000, '3 min 20 s'],
  [7_500_000, '2 h 5 min'],
  [3_600_000_000, '1,000 h 0 min'],
])('%s ms is %s', (ms, text) => expect(duration(ms)).toBe(text))
