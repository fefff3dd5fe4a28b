import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'

import { expect, test } from '@playwright/test'

import { canRunShop } from './largeShop'
import { ownServer } from './ownServer'
import { addToCart, fillAddress, isLive, orderStatus, placeOrder, someProduct, stockOf } from './shop'

type Span = { trace: string; id: string; parent: string; name: string }

/** Fields of a protobuf message, as far as spans need them: number and bytes. */
function* fields(bytes: Uint8Array): Generator<[number, Uint8Array]> {
  let at = 0
  const varint = (): number => {
    let value = 0
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++] ?? 0
      value += (byte & 0x7f) * 2 ** shift
      if (byte < 0x80) return value
    }
  }
  while (at < bytes.length) {
    const tag = varint()
    if (tag % 8 === 0) varint()
    else if (tag % 8 === 1) at += 8
    else if (tag % 8 === 5) at += 4
    else {
      const length = varint()
      yield [tag >> 3, bytes.subarray(at, at + length)]
      at += length
    }
  }
}

const inner = (bytes: Uint8Array, number: number): Uint8Array[] => [...fields(bytes)].filter(([of]) => of === number).map(([, value]) => value)
const hex = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString('hex')

/** The spans of an OTLP request: resource spans, scope spans, spans. */
function spansOf(body: Uint8Array): Span[] {
  const spans = inner(body, 1).flatMap((resource) => inner(resource, 2)).flatMap((scope) => inner(scope, 2))
  return spans.map((span) => ({ trace: hex(inner(span, 1)[0]), id: hex(inner(span, 2)[0]), parent: hex(inner(span, 4)[0]), name: Buffer.from(inner(span, 5)[0] ?? []).toString() }))
}

async function collector(into: Span[]): Promise<{ server: Server; port: number }> {
  const server = createServer((request, response) => {
    const parts: Buffer[] = []
    request.on('data', (part: Buffer) => parts.push(part))
    request.on('end', () => {
      into.push(...spansOf(Buffer.concat(parts)))
      response.end()
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { server, port: (server.address() as AddressInfo).port }
}

test('a click is the root of the trace that ends with the repaint on the other page', async ({ browser }) => {
  test.skip(!canRunShop, 'no binary to start a server of its own from')
  test.slow()
  const spans: Span[] = []
  const { server, port } = await collector(spans)
  const settings = { KARTSHOPPE__TELEMETRY__BROWSER_TRACING: 'true', KARTSHOPPE__TELEMETRY__TRACE_URL: 'http://localhost:16686/trace/{trace_id}' }
  const shop = await ownServer({ ...settings, OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}`, OTEL_BSP_SCHEDULE_DELAY: '100' })
  try {
    await shop.start()
    const baseURL = shop.url
    const [buyers, others] = await Promise.all([browser.newContext({ baseURL }), browser.newContext({ baseURL })])
    const [page, other] = await Promise.all([buyers.newPage(), others.newPage()])
    const product = await someProduct(buyers.request, 0)
    const traced = other.waitForResponse(/assets\/tracer-/)
    await other.goto(`/product/${product.productId}`)
    await isLive(other)
    await traced
    await addToCart(page, product.productId, 1)
    const loaded = page.waitForResponse(/assets\/tracer-/)
    await page.goto('/checkout')
    await loaded
    await fillAddress(page)
    await placeOrder(page).click()
    await expect(orderStatus(page)).toHaveText('Confirmed')
    await other.bringToFront()
    await expect(stockOf(other)).toContainText(String(product.inventory - 1))

    await expect.poll(() => spans.map(({ name }) => name), { timeout: 30_000 }).toEqual(expect.arrayContaining(['click checkout', 'repaint product']))
    const click = spans.find(({ name }) => name === 'click checkout')
    expect(click?.parent).toBe('')
    await expect(page.getByRole('link', { name: /^Open the trace of this order/ })).toHaveAttribute('href', `http://localhost:16686/trace/${click?.trace}`)
    const request = spans.find(({ name }) => name === 'POST /api/ecommerce/checkout')
    expect(request).toMatchObject({ trace: click?.trace, parent: click?.id })
    const repaints = spans.filter(({ name, trace }) => name === 'repaint product' && trace === click?.trace)
    const applied = spans.find(({ name, trace }) => name === 'product.apply' && trace === click?.trace)
    expect(repaints.map(({ parent }) => parent)).toContain(applied?.id)
  } finally {
    await shop.remove()
    server.closeAllConnections()
    server.close()
  }
})
