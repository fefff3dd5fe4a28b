import { expect, test, type APIRequestContext } from '@playwright/test'

import { HOSTILE, offer, pathOf, withdraw } from './hostile'
import type { Product } from '../src/wire'

const admin = process.env['KARTSHOPPE_ADMIN_URL'] ?? ''

/** A product's picture as the server draws it. */
async function pictureOf(request: APIRequestContext, productId: string): Promise<string> {
  const answer = await request.get(`${pathOf(productId)}/image`)
  expect(answer.status(), productId).toBe(200)
  expect(answer.headers()['content-type']).toBe('image/svg+xml')
  return answer.text()
}

/** What is wrong with an SVG, as the browser's XML parser and the rules for pictures see it; nothing if it is fine. */
function faultOf(svg: string): string | null {
  const document = new DOMParser().parseFromString(svg, 'image/svg+xml')
  const error = document.querySelector('parsererror')
  if (error) return error.textContent
  if (document.documentElement.tagName !== 'svg') return `it is a ${document.documentElement.tagName}`
  for (const element of document.querySelectorAll('*')) {
    if (/^(script|style|foreignObject|image|use|a|animate.*|set)$/i.test(element.tagName)) return `it has <${element.tagName}>`
    for (const { name, value } of element.attributes)
      if (/^(on|style|class|href|xlink)/i.test(name) || /url\(|javascript:|undefined|NaN/.test(value)) return `<${element.tagName} ${name}="${value}">`
  }
  return null
}

test('every shipped picture is well-formed, small, its own, and shown', async ({ page, request }) => {
  const products = (await (await request.get('/api/ecommerce/products?limit=1000')).json()) as Product[]
  const shipped = products.filter((product) => /^PROD_\d{4}$/.test(product.productId))
  expect(shipped.length).toBe(200)
  await page.goto('/')
  const seen = new Set<string>()
  for (const product of shipped) {
    const svg = await pictureOf(request, product.productId)
    expect(svg.length, product.name).toBeLessThanOrEqual(6144)
    expect(await page.evaluate(faultOf, svg), product.name).toBeNull()
    seen.add(svg)
  }
  expect(seen.size).toBe(200)
  const cards = page.locator('li[data-product] img')
  await expect.poll(() => cards.first().evaluate((image: HTMLImageElement) => image.naturalWidth)).toBe(600)
})

test('a picture keeps its entity tag while stock moves, and asks for nothing when it is opened by itself', async ({ page, request }) => {
  const path = `${pathOf('PROD_0001')}/image`
  const first = await request.get(path)
  const etag = first.headers()['etag'] ?? ''
  expect((await request.get(path, { headers: { 'If-None-Match': etag } })).status()).toBe(304)
  const asked: string[] = []
  page.on('request', (one) => asked.push(new URL(one.url()).pathname))
  const problems: string[] = []
  page.on('console', (message) => problems.push(message.text()))
  await page.goto(path)
  expect(await page.evaluate(() => document.querySelectorAll('path, rect, circle, ellipse').length)).toBeGreaterThan(5)
  expect(asked.filter((one) => one !== path && one !== '/favicon.ico')).toEqual([])
  expect(problems.filter((text) => /Content Security Policy|Refused/.test(text))).toEqual([])
})

test.describe('awkward products', () => {
  test.skip(admin === '', 'KARTSHOPPE_ADMIN_URL is not set')
  test.afterAll(async ({ request }) => withdraw(request))

  test('every picture of the hostile catalogue is well-formed and drawn by the browser', async ({ page, request }) => {
    await offer(request)
    await page.goto('/')
    for (const { productId } of HOSTILE) {
      const svg = await pictureOf(request, productId)
      expect(await page.evaluate(faultOf, svg), productId).toBeNull()
      const width = await page.evaluate(async (source) => {
        const image = new Image()
        image.src = source
        await image.decode()
        return image.naturalWidth
      }, `${pathOf(productId)}/image`)
      expect(width, productId).toBe(600)
    }
  })

  test('letters on a cover stay on it, whatever the title', async ({ page, request }) => {
    const titles = ['W'.repeat(500), 'Donaudampfschifffahrtsgesellschaft '.repeat(14), 'Z\u0301\u0302\u0303\u0304'.repeat(100), '图书馆'.repeat(160), 'שלום עולם '.repeat(50), '🧑‍🚀'.repeat(100), '\u202e'.repeat(20) + 'reversed', 'A', 'il'.repeat(250)]
    const books = titles.map((name, number) => ({ productId: `HOSTILE_BOOK_${number}`, name, brand: name.slice(0, 90), price: 9, inventory: 3, category: 'Books' }))
    await offer(request, books)
    for (const { productId, name } of books) {
      await page.goto(`${pathOf(productId)}/image`)
      const widest = await page.evaluate(() => Math.max(0, ...[...document.querySelectorAll('text')].map((text) => text.getBBox().width)))
      expect(widest, name.slice(0, 20)).toBeLessThanOrEqual(262)
      const beyond = await page.evaluate(() => [...document.querySelectorAll('text')].filter((text) => text.getBBox().y < 84 || text.getBBox().y + text.getBBox().height > 502).length)
      expect(beyond, name.slice(0, 20)).toBe(0)
    }
    await withdraw(request, books)
  })
})
