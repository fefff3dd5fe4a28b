import { beforeEach, expect, test, vi } from 'vitest'

const sent: { spans: Record<string, unknown>[] }[] = []

beforeEach(() => {
  sent.length = 0
  vi.resetModules()
  vi.useFakeTimers()
  vi.stubGlobal('addEventListener', () => undefined)
  vi.stubGlobal('document', { visibilityState: 'visible' })
  vi.stubGlobal('requestAnimationFrame', (drawn: () => void) => setTimeout(drawn, 16))
  vi.stubGlobal('Blob', class { constructor(readonly parts: string[]) {} })
  vi.stubGlobal('navigator', { sendBeacon: (_: string, blob: { parts: string[] }) => sent.push(JSON.parse(blob.parts[0] ?? '')) })
})

const frame = (flags: string) => `00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-${flags}`

test('a click is the root of a trace and ends with the answer', async () => {
  const { clickCheckout } = await import('./tracer')
  const click = clickCheckout()
  expect(click.traceparent).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/)
  click.end(true)
  vi.advanceTimersByTime(2_000)
  expect(sent).toHaveLength(1)
  expect(sent[0]?.spans[0]).toMatchObject({ name: 'click checkout', traceparent: click.traceparent, failed: true })
  expect(sent[0]?.spans[0]).not.toHaveProperty('parentSpanId')
})

test('a repaint is a child of the frame that asked for it, and only where that is sampled', async () => {
  const { repaintProduct } = await import('./tracer')
  for (const unsampled of [frame('00'), frame('02'), null, 7, 'nonsense']) repaintProduct(unsampled, 'PROD_0001')
  repaintProduct(frame('03'), 'PROD_0002')
  vi.advanceTimersByTime(3_000)
  expect(sent.flatMap(({ spans }) => spans)).toMatchObject([{ name: 'repaint product', parentSpanId: '00f067aa0ba902b7', productId: 'PROD_0002' }])
  expect(sent[0]?.spans[0]?.['traceparent']).toMatch(/^00-4bf92f3577b34da6a3ce929d0e0e4736-(?!00f067aa0ba902b7)[0-9a-f]{16}-01$/)
})

test('a page in the background draws nothing', async () => {
  vi.stubGlobal('document', { visibilityState: 'hidden' })
  const { repaintProduct } = await import('./tracer')
  repaintProduct(frame('01'), 'PROD_0001')
  vi.advanceTimersByTime(3_000)
  expect(sent).toEqual([])
})
