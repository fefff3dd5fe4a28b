import { describe, expect, it } from 'vitest'

import { Refused, Unanswered } from '../api/http'
import { anOrder } from '../testing'
import type { Order } from '../wire'
import { isRefusal, nextAttempt, restored, toKeep, type Attempt, type CheckoutBody } from './attempt'

const body: CheckoutBody = {
  sessionId: 's',
  userId: 'u',
  shippingAddress: { name: 'n', street: 's', city: 'c', state: '', zipCode: 'z', country: 'x' },
  paymentMethod: 'CREDIT_CARD',
  useCdc: true,
  expectedTotal: 10,
}
const ask = (attempt: Attempt, newKey: string, fields: Partial<CheckoutBody> = {}) => nextAttempt(attempt, { type: 'ask', body: { ...body, ...fields }, newKey, at: 5 })
const refused = (status: number) => new Refused({ type: 'about:blank', title: 'no', status, code: 'x' })
const fail = (attempt: Attempt, error: unknown, goesOn = false) => nextAttempt(attempt, { type: 'failed', error, goesOn })
const keyOf = (attempt: Attempt) => ('ask' in attempt ? attempt.ask.key : null)

describe('checkout', () => {
  const asking = ask({ step: 'none' }, 'k1')

  it('is placed only by an answer that is an order', () => {
    expect(nextAttempt(asking, { type: 'answered', order: anOrder() })).toMatchObject({ step: 'placed', order: { orderId: 'order' } })
    for (const junk of [null, {}, { orderId: '' }, 'ok']) expect(nextAttempt(asking, { type: 'answered', order: junk as Order }).step).toBe('unanswered')
  })

  it('asks again with the same key and the same body while there is no answer, whatever the form says now', () => {
    const lost = fail(asking, new Unanswered('gone'))
    expect(lost).toMatchObject({ step: 'unanswered', reason: 'gone' })
    const again = ask(lost, 'k2', { expectedTotal: 99 })
    expect(again).toMatchObject({ step: 'asking', again: true, ask: { key: 'k1', body } })
  })

  it('keeps its key through tries that need no click', () => {
    expect(keyOf(fail(asking, new Unanswered('gone'), true))).toBe('k1')
  })

  it.each([500, 502, 503, 504, 408, 425, 429])('does not take %i for a no: the order may exist', (status) => {
    expect(isRefusal(refused(status))).toBe(false)
    expect(fail(asking, refused(status)).step).toBe('unanswered')
  })

  it.each([400, 403, 404, 409, 413, 415, 422])('takes %i for a no, and makes a new key for the next ask', (status) => {
    const no = fail(asking, refused(status), true)
    expect(no.step).toBe('refused')
    expect(keyOf(ask(no, 'k2'))).toBe('k2')
  })

  it('does not start a second ask while one is out', () => {
    expect(ask(asking, 'k2')).toBe(asking)
  })

  it('ignores answers of earlier attempts', () => {
    const none: Attempt = { step: 'none' }
    expect(nextAttempt(none, { type: 'answered', order: anOrder() })).toBe(none)
    expect(fail(none, refused(400))).toBe(none)
  })

  it('survives a reload while the answer is out, and nothing else does', () => {
    const kept = toKeep(asking)
    expect(restored(kept, 6)).toMatchObject({ step: 'unanswered', ask: { key: 'k1', body } })
    expect(toKeep(fail(asking, refused(400)))).toBeNull()
    expect(toKeep(nextAttempt(asking, { type: 'answered', order: anOrder() }))).toBeNull()
  })

  it('says after a reload what was wrong before, and names no reason where none is known', () => {
    const lost = fail(asking, new Unanswered('The shop could not be reached.'))
    expect(restored(toKeep(lost), 6)).toEqual(lost)
    expect(restored(toKeep(asking), 6)).toMatchObject({ reason: 'The shop has not answered yet.' })
  })

  it('drops a kept ask that is broken or older than the server keeps keys', () => {
    expect(restored(null, 6).step).toBe('none')
    expect(restored('{', 6).step).toBe('none')
    expect(restored('{"key":1}', 6).step).toBe('none')
    expect(restored(toKeep(asking), 25 * 3_600_000).step).toBe('none')
  })

  it('is dismissed only when it was refused', () => {
    expect(nextAttempt(fail(asking, refused(400)), { type: 'dismissed' }).step).toBe('none')
    expect(nextAttempt(asking, { type: 'dismissed' })).toBe(asking)
  })
})
