import { mkdirSync } from 'node:fs'

import { expect, test, type APIRequestContext, type Browser, type Page } from '@playwright/test'

import { addToCart, fillAddress, isLive, orderStatus, placeOrder } from './shop'
import type { Product } from '../src/wire'

/** Takes a picture of each page of the shop and the console, after a morning's business: sales, a restock, a price drop, an order on the way. */

const admin = process.env['KARTSHOPPE_ADMIN_URL'] ?? ''
const folder = process.env['KARTSHOPPE_SCREENSHOTS'] ?? 'test-results/screenshots'
const DEVICES = { desktop: { width: 1366, height: 900 }, phone: { width: 390, height: 844 } } as const
const SCHEMES = ['light', 'dark'] as const

/** Rates need some samples. */
const SAMPLED_MS = 7_000

const WATCH = 'PROD_0035'
const BOOTS = 'PROD_0037'
const LAMP = 'PROD_0078'
const WHALE = 'PROD_0135'

async function find(request: APIRequestContext, productId: string): Promise<Product> {
  return (await (await request.get(`/api/ecommerce/product/${productId}`)).json()) as Product
}

/** A new price or stock, as the catalogue's source sends it. */
async function change(request: APIRequestContext, productId: string, more: Partial<Product>): Promise<void> {
  const { name, description, category, brand, price, inventory, imageUrl, tags, rating, reviewCount } = await find(request, productId)
  const value = { productId, name, description, category, brand, price, inventory, imageUrl, tags, rating, reviewCount, ...more }
  const data = { key: productId, value }
  const answer = await request.post(`${admin}/admin/topics/product-updates/records`, { headers: { 'x-kartshoppe-operator': 'screenshots' }, data })
  expect(answer.ok(), await answer.text()).toBe(true)
  for (const [field, wanted] of Object.entries(more))
    await expect.poll(async () => (await find(request, productId))[field as keyof Product], `${productId}: ${field}`).toEqual(wanted)
}

/** Another shopper buys. */
async function sell(request: APIRequestContext, number: number, productId: string, quantity: number): Promise<void> {
  const sessionId = `visitor-${number}`
  const added = await request.post(`/api/ecommerce/cart/${sessionId}/add`, { data: { productId, userId: 'guest', quantity } })
  expect(added.ok(), await added.text()).toBe(true)
  const answer = await request.post('/api/ecommerce/checkout', { data: { sessionId, userId: 'guest', useCdc: number % 2 === 1 } })
  expect(answer.ok(), await answer.text()).toBe(true)
}

/** All that happens before the pictures are taken; gives the address of this visitor's order. */
async function business(page: Page, request: APIRequestContext): Promise<string> {
  await change(request, WATCH, { price: 849, inventory: 6 })
  await change(request, BOOTS, { price: 189.5 })
  await change(request, LAMP, { price: 119 })
  await change(request, WHALE, { inventory: 40 })
  const sold = [BOOTS, LAMP, WATCH, WHALE, 'PROD_0003', 'PROD_0065', 'PROD_0104', 'PROD_0187', 'PROD_0155', 'PROD_0095']
  for (const [number, productId] of sold.entries()) await sell(request, number, productId, 1 + (number % 3))
  await addToCart(page, WATCH, 1)
  await page.goto('/checkout')
  await fillAddress(page)
  await placeOrder(page).click()
  await expect(orderStatus(page)).toHaveText('Confirmed')
  const order = new URL(page.url()).pathname
  await addToCart(page, BOOTS, 1)
  await sell(request, 90, WATCH, 1)
  return order
}

/** Opens each page once for each device, and takes its picture light and dark when all are there. */
async function shoot(browser: Browser, page: Page, pages: Record<string, string>, areThere: (cameras: Page[]) => Promise<void>): Promise<void> {
  mkdirSync(folder, { recursive: true })
  const storageState = await page.context().storageState()
  for (const [device, viewport] of Object.entries(DEVICES)) {
    const context = await browser.newContext({ viewport, storageState, reducedMotion: 'reduce', isMobile: device === 'phone', hasTouch: device === 'phone' })
    const cameras: [string, Page][] = []
    for (const [name, path] of Object.entries(pages)) {
      const camera = await context.newPage()
      await camera.goto(path)
      cameras.push([name, camera])
    }
    await areThere(cameras.map(([, camera]) => camera))
    for (const [name, camera] of cameras) {
      for (const colorScheme of SCHEMES) {
        await camera.emulateMedia({ colorScheme })
        await camera.evaluate(() => Promise.all([...document.images].filter((image) => image.loading !== 'lazy').map((image) => image.decode().catch(() => undefined))))
        await camera.screenshot({ path: `${folder}/${name}-${device}-${colorScheme}.png`, animations: 'disabled' })
      }
    }
    await context.close()
  }
}

async function areLive(cameras: Page[]): Promise<void> {
  for (const camera of cameras) {
    await isLive(camera)
    await camera.waitForLoadState('networkidle')
  }
}

/** Lines of the last seconds are drawn once there have been some. */
async function haveRested(cameras: Page[]): Promise<void> {
  for (const camera of cameras) await expect(camera.getByRole('heading', { level: 1 })).toBeVisible()
  await cameras[0]?.waitForTimeout(SAMPLED_MS)
}

test('pictures of every page', async ({ page, browser, request }) => {
  const order = await business(page, request)
  await shoot(browser, page, {
    front: '/',
    category: '/?category=Fashion',
    search: '/?search=lamp',
    product: `/product/${WATCH}`,
    book: '/product/PROD_0116',
    cart: '/cart',
    checkout: '/checkout',
    order,
    orders: '/orders',
    missing: '/no-such-page',
  }, areLive)
  const consoles = {
    overview: '/',
    flow: '/flow',
    actors: '/actors',
    topics: '/topics?open=order-events',
    inspect: '/inspect?topics=order-events%2Cinventory-events',
    order: order.replace('/order/', '/orders/'),
    product: `/products/${WATCH}`,
    produce: '/produce',
  }
  const addresses = Object.entries(consoles).map(([name, path]) => [`console-${name}`, admin + path])
  await shoot(browser, page, Object.fromEntries(addresses), haveRested)
})
