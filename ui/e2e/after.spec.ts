import { expect, test, type APIRequestContext, type Page } from '@playwright/test'

import type { Order } from '../src/wire'
import { addToCart, canProduce, fillAddress, isLive, isSold, orderStatus, placeOrder, produce, someProduct, stockOf } from './shop'

async function order(page: Page, productId: string, units: number, useCdc = false): Promise<void> {
  await addToCart(page, productId, units)
  await page.goto('/checkout')
  await fillAddress(page)
  if (useCdc) await page.getByRole('checkbox', { name: 'Use change data capture' }).check()
  await placeOrder(page).click()
}

/** The order of the open page, as the server describes it. */
async function orderOf(page: Page, request: APIRequestContext): Promise<Order> {
  const sessionId = await page.evaluate(() => localStorage.getItem('kartshoppe.session'))
  const orderId = await page.locator('[data-order]').getAttribute('data-order')
  const answer = await request.get(`/api/ecommerce/orders/${orderId}?sessionId=${sessionId}`)
  return (await answer.json()) as Order
}

test('an order appears on the orders page of another tab, and settles there', async ({ page, context, request }) => {
  const product = await someProduct(request, 26)
  const other = await context.newPage()
  await other.goto('/orders')
  await isLive(other)
  await expect(other.getByText(/^None yet in this browser/)).toBeVisible()
  await expect(other.getByRole('heading', { name: 'Popular in the shop' })).toBeVisible()
  await order(page, product.productId, 1)
  await expect(orderStatus(page)).toHaveText('Confirmed')
  await expect(other.locator('li[data-order]')).toHaveCount(1)
  await expect(orderStatus(other)).toHaveText('Confirmed')
  await expect(other.locator('li[data-order] img')).toHaveCount(1)
  await order(page, product.productId, 1)
  await expect(orderStatus(page)).toHaveText('Confirmed')
  await expect(other.locator('li[data-order]')).toHaveCount(2)
})

for (const useCdc of [false, true]) {
  test(`the timeline of ${useCdc ? 'a captured' : 'a direct'} order: every step, its milliseconds and its clock`, async ({ page, request }) => {
    const product = await someProduct(request, 27)
    await order(page, product.productId, 1, useCdc)
    await expect(orderStatus(page)).toHaveText('Confirmed')
    const timeline = page.getByTestId('timeline')
    await expect(timeline.locator('li')).toHaveCount(5)
    await expect(timeline.locator('[data-step="published"]')).toContainText(useCdc ? 'Read from the WAL' : 'Published')
    await expect(timeline.locator('li[data-done="true"]')).toHaveCount(5)
    await expect(page.getByTestId('timeline-total')).toContainText(/in .+ (ms|s), by the database’s clock/)
    for (const step of ['published', 'applied', 'settled']) await expect(timeline.locator(`[data-step="${step}"]`)).toContainText(/\+[\d.,]+ (ms|s)/)
    for (const step of ['placed', 'published', 'applied', 'settled', 'told']) await expect(timeline.locator(`[data-step="${step}"]`)).toContainText(/clock$/)
    await expect(page.getByRole('link', { name: /trace/ }), 'no spans are exported').toHaveCount(0)
    await expect(timeline, 'no time is negative').not.toContainText(/[-−]\d/)
    await page.reload()
    await expect(timeline.locator('li[data-done="true"]'), 'the server’s steps are there for everyone').toHaveCount(4)
  })
}

test.describe('orders that come out short', () => {
  test.skip(!canProduce, 'KARTSHOPPE_ADMIN_URL is not set')

  test('partly: what is reserved is what is paid, and the rest has a next step', async ({ page, request }) => {
    await produce(request, { productId: 'SHORT-1', name: 'Short Shelf', price: 10, inventory: 2, category: 'After' })
    await isSold(request, 'SHORT-1', (product) => product.inventory === 2)
    await order(page, 'SHORT-1', 3)
    await expect(orderStatus(page)).toHaveText('Backordered')
    const item = page.locator('[data-item="SHORT-1"]')
    await expect(page.getByRole('heading', { level: 1 })).toHaveText('Partly confirmed')
    await expect(item).toContainText('2 reserved, 1 unavailable')
    await expect(item).toContainText('$20.00')
    await expect(page.getByText(/^For what is reserved/)).toBeVisible()
    const { payable, totalAmount, items } = await orderOf(page, request)
    expect(items.map((line) => line.payable)).toEqual([20])
    expect(payable.subtotal + payable.tax + payable.shipping).toBeCloseTo(payable.totalAmount, 5)
    expect(payable.totalAmount).toBeLessThan(totalAmount)
    await expect(page.getByTestId('total'), 'the page shows the server’s figure').toHaveText(`$${payable.totalAmount.toFixed(2)}`)
    const full = Number((await page.getByText(/^For what is reserved/).locator('s').textContent())?.replace(/[^\d.]/g, ''))
    expect(Number((await page.getByTestId('total').textContent())?.replace(/[^\d.]/g, ''))).toBeLessThan(full)
    await expect(item.getByRole('link', { name: 'Find something similar in stock' })).toBeVisible()
    await produce(request, { productId: 'SHORT-1', inventory: 5 })
    await item.getByRole('button', { name: '1 in stock again: add to cart' }).click()
    await expect(page.getByTestId('cart-count')).toContainText('1')
  })

  test('not at all: nothing is to be paid', async ({ page, request }) => {
    await produce(request, { productId: 'NONE-1', name: 'Sold Before', price: 10, inventory: 1, category: 'After' })
    await isSold(request, 'NONE-1', (product) => product.inventory === 1)
    await addToCart(page, 'NONE-1', 1)
    await page.goto('/checkout')
    await fillAddress(page)
    await produce(request, { productId: 'NONE-1', inventory: 0 })
    await isSold(request, 'NONE-1', (product) => product.inventory === 0)
    await placeOrder(page).click()
    await expect(orderStatus(page)).toHaveText('Rejected')
    await expect(page.getByRole('heading', { level: 1 })).toHaveText('Sold out before we could reserve it')
    await expect(page.getByTestId('total')).toHaveText('$0.00')
    await expect(page.locator('[data-item="NONE-1"]')).toContainText('Unavailable')
    expect((await orderOf(page, request)).payable).toEqual({ subtotal: 0, tax: 0, shipping: 0, totalAmount: 0 })
    await expect(page.getByRole('main').getByRole('link', { name: 'See what is in stock' }).first()).toBeVisible()
    await page.goto('/orders')
    await expect(page.locator('li[data-order]')).toContainText('$0.00')
  })

  test('the product page shows each change with its reason and marks the shopper’s own order', async ({ page, request }) => {
    const id = `STORY-${Date.now()}`
    await produce(request, { productId: id, name: 'Storied Shelf', price: 10, inventory: 30, category: 'After' })
    await isSold(request, id)
    await order(page, id, 2)
    await expect(orderStatus(page)).toHaveText('Confirmed')
    await page.goto(`/product/${id}`)
    await isLive(page)
    await produce(request, { productId: id, inventory: 20 }, { productId: id, inventory: 25 }, { productId: id, price: 8 })
    const changes = page.getByTestId('changes')
    for (const text of ['2 sold', 'your order', 'Corrected −8', '+5 restocked', '$10.00 → $8.00', 'New in the shop']) await expect(changes).toContainText(text)
    await expect(page.getByRole('img', { name: /^Stock over the last hour: from .* to 25, .* Marked: your order\./ })).toBeVisible()
    await expect(page.getByRole('img', { name: /^Price over the last hour: from \$10\.00 to \$8\.00/ })).toBeVisible()
    await expect(page.locator('[data-own-order]')).toHaveCount(1)
    await expect(page.getByTestId('last-change')).toContainText('New price')
  })
})

test('the product page has price, stock and button above the fold, related products, and no layout shift', async ({ page, request }) => {
  const product = await someProduct(request, 28)
  for (const size of [{ width: 1366, height: 650 }, { width: 390, height: 844 }]) {
    await page.setViewportSize(size)
    await page.addInitScript(() => {
      Object.assign(globalThis, { shift: 0 })
      new PerformanceObserver((list) => {
        for (const entry of list.getEntries() as unknown as { value: number; hadRecentInput: boolean }[]) if (!entry.hadRecentInput) Object.assign(globalThis, { shift: (globalThis as unknown as { shift: number }).shift + entry.value })
      }).observe({ type: 'layout-shift', buffered: true })
    })
    await page.route('**/api/ecommerce/**', async (route) => {
      await new Promise((resolve) => setTimeout(resolve, 300))
      await route.continue().catch(() => undefined)
    })
    await page.goto(`/product/${product.productId}`)
    await isLive(page)
    const main = page.getByRole('main')
    const price = main.getByTestId('price').first()
    expect(await price.evaluate((label) => parseFloat(getComputedStyle(label).fontSize)), 'the price can be read').toBeGreaterThan(20)
    expect(await price.evaluate((label) => label.scrollWidth - label.clientWidth), 'all of it').toBeLessThanOrEqual(0)
    if (size.width > 1000) {
      await expect(price).toBeInViewport({ ratio: 1 })
      await expect(stockOf(page)).toBeInViewport({ ratio: 1 })
      await expect(main.getByRole('button', { name: 'Add to cart' })).toBeInViewport({ ratio: 1 })
    }
    await expect(main.getByTestId('related').getByRole('listitem').first()).toBeVisible()
    await expect(page.getByRole('heading', { name: 'The last hour' })).toBeVisible()
    await page.waitForLoadState('networkidle').catch(() => undefined)
    expect(await page.evaluate(() => (globalThis as unknown as { shift: number }).shift), `${size.width} px`).toBeLessThanOrEqual(0.02)
    await page.unroute('**/api/ecommerce/**')
  }
})
