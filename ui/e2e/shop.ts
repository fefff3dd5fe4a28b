import { expect, type APIRequestContext, type Locator, type Page } from '@playwright/test'

import type { Product } from '../src/wire'

/** Some product with at least `units` in stock, the `nth` of them, so that specs don't buy each other's stock. */
export async function someProduct(request: APIRequestContext, nth: number, units = 5): Promise<Product> {
  const answer = await request.get('/api/ecommerce/products?limit=100&sort=popular&inStock=true')
  expect(answer.ok()).toBe(true)
  const product = ((await answer.json()) as Product[]).filter((candidate) => candidate.inventory >= units)[nth]
  if (!product) throw new Error(`the shop has no ${nth + 1} products with ${units} units`)
  return product
}

export function stockOf(scope: Page | Locator): Locator {
  return scope.getByTestId('stock').first()
}

export function cardOf(page: Page, productId: string): Locator {
  return page.locator(`li[data-product="${productId}"]`)
}

/** The page has all that happened up to now, and gets what comes. */
export async function isLive(page: Page): Promise<void> {
  await expect(page.locator('[data-connection]')).toHaveAttribute('data-connection', 'live')
}

/** Opens a product's page and puts `units` of it into the cart. */
export async function addToCart(page: Page, productId: string, units: number): Promise<void> {
  await page.goto(`/product/${productId}`)
  await isLive(page)
  const main = page.getByRole('main')
  for (let more = 1; more < units; more++) await main.getByRole('button', { name: 'One more' }).click()
  await main.getByRole('button', { name: 'Add to cart' }).click()
  await expect(page.getByTestId('cart-count')).toContainText(String(units))
}

export const ADDRESS = { 'Full name': 'Ada Example', 'Street and number': '1 Long Lane', City: 'Utrecht', 'Postal code': '3511', Country: 'Netherlands' }

export async function fillAddress(page: Page): Promise<void> {
  for (const [label, text] of Object.entries(ADDRESS)) await page.getByLabel(label).fill(text)
}

export function placeOrder(page: Page): Locator {
  return page.getByRole('button', { name: /^Place order for/ })
}

const admin = process.env['KARTSHOPPE_ADMIN_URL'] ?? ''

/** Whether the operators' listener is known, through which `produce` works. */
export const canProduce = admin !== ''

/** What a product update says. The log wants whole products: a field that is left out here is as this file's last update of it had it. */
export type Update = { productId: string; name?: string; description?: string; category?: string; brand?: string; tags?: string[]; price?: number; inventory?: number; rating?: number; reviewCount?: number }

/** Writes product updates to the log, as a supplier does. */
export async function produce(request: APIRequestContext, ...updates: Update[]): Promise<void> {
  for (const update of updates) {
    const whole = { ...produced.get(update.productId), ...update }
    produced.set(update.productId, whole)
    await produceValue(request, update.productId, whole)
  }
}

const produced = new Map<string, Update>()

/** Removes products from the shop. */
export async function discontinue(request: APIRequestContext, ...productIds: string[]): Promise<void> {
  for (const productId of productIds) await produceValue(request, productId, null)
}

async function produceValue(request: APIRequestContext, key: string, value: Update | null): Promise<void> {
  const answer = await request.post(`${admin}/admin/topics/product-updates/records`, { headers: { 'x-kartshoppe-operator': 'e2e' }, data: { key, value } })
  expect(answer.ok(), `${key}: ${answer.status()} ${await answer.text()}`).toBe(true)
}

/** Until the shop sells the product as `matches` wants it. */
export async function isSold(request: APIRequestContext, productId: string, matches: (product: Product) => boolean = () => true): Promise<void> {
  await expect.poll(async () => {
    const answer = await request.get(`/api/ecommerce/product/${encodeURIComponent(productId)}`)
    return answer.ok() && matches((await answer.json()) as Product)
  }).toBe(true)
}

/** How far the page is wider than its window, in pixels. */
export async function overflow(page: Page): Promise<number> {
  return page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)
}

export function orderStatus(page: Page): Locator {
  return page.getByTestId('order-status')
}

/** Marks this document, to prove later that the page was not loaded again. */
export async function mark(page: Page): Promise<() => Promise<void>> {
  await page.evaluate(() => Object.assign(globalThis, { marked: true }))
  return async () => expect(await page.evaluate(() => 'marked' in globalThis), 'the page was loaded again').toBe(true)
}
