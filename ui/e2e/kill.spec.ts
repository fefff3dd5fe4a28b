import { expect, test, type Page } from '@playwright/test'

import type { Product } from '../src/wire'
import { canRunShop } from './largeShop'
import { ownServer, type OwnServer } from './ownServer'
import { fillAddress, isLive, orderStatus, placeOrder } from './shop'

const CHECKOUT = '**/api/ecommerce/checkout'
const UNITS = 2

let shop: OwnServer

/** When the server dies: before it has seen the order, after it has taken it, or somewhere in between. */
const MOMENTS = {
  'before the order came': async (page: Page) => {
    await page.route(CHECKOUT, async (route) => {
      await shop.kill()
      await route.continue().catch(() => undefined)
    }, { times: 1 })
    await placeOrder(page).click()
  },
  'after it took the order': async (page: Page) => {
    await page.route(CHECKOUT, async (route) => {
      await route.fetch()
      await shop.kill()
      await route.abort('connectionreset')
    }, { times: 1 })
    await placeOrder(page).click()
  },
  'while the order is under way': async (page: Page) => {
    const sent = page.waitForRequest(CHECKOUT)
    await placeOrder(page).click()
    await sent
    await shop.kill()
  },
}

test.describe('a server that is killed in mid-checkout', () => {
  test.skip(!canRunShop, 'KARTSHOPPE_BIN names no binary to start')
  test.describe.configure({ mode: 'serial' })
  test.beforeAll(async () => {
    test.setTimeout(180_000)
    shop = await ownServer({})
    await shop.start()
  })
  test.afterAll(() => shop?.remove())

  for (const [moment, orderAndKill] of Object.entries(MOMENTS)) {
    for (const reloaded of [false, true]) test(`${moment}, ${reloaded ? 'and reloaded' : 'and left open'}: one order after its restart`, async ({ browser }) => {
      test.slow()
      const context = await browser.newContext({ baseURL: shop.url })
      const page = await context.newPage()
      const product = await aProduct(page)
      await page.goto(`/product/${product.productId}`)
      await isLive(page)
      await page.getByRole('main').getByRole('button', { name: 'One more' }).click()
      await page.getByRole('main').getByRole('button', { name: 'Add to cart' }).click()
      await expect(page.getByTestId('cart-count')).toContainText(String(UNITS))
      await page.goto('/checkout')
      await isLive(page)
      await fillAddress(page)
      await orderAndKill(page)
      const unfinished = page.getByRole('group', { name: 'Unfinished order' })
      // The answer of an order under way may have been faster than the kill.
      await expect(unfinished.or(orderStatus(page))).toBeVisible({ timeout: 40_000 })
      const settled = await orderStatus(page).isVisible()
      // Closed before the shop is back: the open page would ask by itself.
      if (reloaded && !settled) await page.goto('about:blank')
      await shop.start()
      if (reloaded && !settled) {
        await page.goto('/checkout')
        await expect(unfinished).toContainText('We don’t know whether your order was placed')
        await page.getByRole('button', { name: 'Check order status' }).click()
      }
      // Taken but not published: the reader of the write-ahead log publishes it when its deadline has passed.
      await expect(orderStatus(page)).toHaveText('Confirmed', { timeout: 60_000 })
      await expect(page.getByTestId('cart-count')).toHaveCount(0)
      await page.goto('/orders')
      await expect(page.locator('li[data-order]')).toHaveCount(1)
      await expect.poll(async () => (await stock(page, product.productId)) - product.inventory, 'sold once').toBe(-UNITS)
      await context.close()
    })
  }
})

/** Some product with enough in stock. */
async function aProduct(page: Page): Promise<Product> {
  const products = (await (await page.request.get('/api/ecommerce/products?limit=100&sort=popular&inStock=true')).json()) as Product[]
  const product = products.find(({ inventory }) => inventory > 10)
  if (!product) throw new Error('the shop has nothing in stock')
  return product
}

async function stock(page: Page, productId: string): Promise<number> {
  return ((await (await page.request.get(`/api/ecommerce/product/${productId}`)).json()) as Product).inventory
}
