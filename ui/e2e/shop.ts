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

export function orderStatus(page: Page): Locator {
  return page.getByTestId('order-status')
}

/** Marks this document, to prove later that the page was not loaded again. */
export async function mark(page: Page): Promise<() => Promise<void>> {
  await page.evaluate(() => Object.assign(globalThis, { marked: true }))
  return async () => expect(await page.evaluate(() => 'marked' in globalThis), 'the page was loaded again').toBe(true)
}
