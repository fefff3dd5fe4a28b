import { expect, test, type Page } from '@playwright/test'

import { ADDRESS, addToCart, fillAddress, orderStatus, placeOrder, someProduct } from './shop'

const CHECKOUT = '**/api/ecommerce/checkout'

async function readyToOrder(page: Page, productId: string): Promise<void> {
  await addToCart(page, productId, 1)
  await page.goto('/checkout')
  await fillAddress(page)
}

test('a shop that does not answer is no confirmation: the cart is kept and the same key is asked again', async ({ page, request }) => {
  const product = await someProduct(request, 5)
  await readyToOrder(page, product.productId)
  const keys: string[] = []
  const bodies: string[] = []
  page.on('request', (sent) => {
    if (!sent.url().endsWith('/api/ecommerce/checkout')) return
    keys.push(sent.headers()['idempotency-key'] ?? 'none')
    bodies.push(sent.postData() ?? '')
  })
  await page.route(CHECKOUT, (route) =>
    route.fulfill({ status: 503, contentType: 'application/problem+json', json: { type: 'about:blank', title: 'The database is not available', status: 503, code: 'database_unavailable', traceId: 'abc' } }),
  )
  await placeOrder(page).click()
  await expect(page.getByRole('heading', { name: 'We don’t know whether your order was placed' })).toBeVisible()
  await expect(page).toHaveURL(/\/checkout$/)
  await expect(page.getByTestId('cart-count')).toContainText('1')

  await page.reload()
  await expect(page.getByRole('heading', { name: 'We don’t know whether your order was placed' })).toBeVisible()
  await page.unroute(CHECKOUT)
  await page.getByRole('button', { name: 'Check order status' }).click()
  await expect(orderStatus(page)).toHaveText('Confirmed')
  expect(keys.length).toBeGreaterThanOrEqual(3)
  expect(new Set(keys).size, 'one key through all tries').toBe(1)
  expect(keys[0]).not.toBe('none')
  expect(new Set(bodies).size, 'one body through all tries').toBe(1)
})

test('an order whose answer was lost is one order', async ({ page, request }) => {
  const product = await someProduct(request, 6)
  await readyToOrder(page, product.productId)
  let lost = 0
  await page.route(CHECKOUT, async (route) => {
    if (lost++ > 0) return route.continue()
    await route.fetch()
    return route.abort('connectionreset')
  })
  await placeOrder(page).click()
  await expect(orderStatus(page)).toHaveText('Confirmed')
  expect(lost).toBe(2)
  await page.getByRole('link', { name: 'Orders', exact: true }).click()
  await expect(page.getByRole('main').getByRole('listitem')).toHaveCount(1)
})

test('a total that changed is refused, shown, and agreed to again', async ({ page, request }) => {
  const product = await someProduct(request, 7)
  await readyToOrder(page, product.productId)
  await page.route(CHECKOUT, async (route) => {
    const body = route.request().postDataJSON() as { expectedTotal: number }
    await route.continue({ postData: JSON.stringify({ ...body, expectedTotal: body.expectedTotal - 1 }) })
  })
  await placeOrder(page).click()
  const alert = page.locator('[data-code]')
  await expect(alert).toContainText('The total has changed')
  await expect(alert).toHaveAttribute('data-code', 'total_changed')
  await expect(page).toHaveURL(/\/checkout$/)
  await expect(page.getByTestId('cart-count')).toContainText('1')
  await page.unroute(CHECKOUT)
  await placeOrder(page).click()
  await expect(orderStatus(page)).toHaveText('Confirmed')
})

test('a problem is shown in its own words, with its trace', async ({ page, request }) => {
  const product = await someProduct(request, 8)
  await readyToOrder(page, product.productId)
  await page.route(CHECKOUT, (route) =>
    route.fulfill({ status: 422, contentType: 'application/problem+json', json: { type: 'about:blank', title: 'Refused', detail: 'The address is on the moon', status: 422, code: 'bad_address', traceId: '0af7651916cd43dd8448eb211c80319c' } }),
  )
  await placeOrder(page).click()
  await expect(page.locator('[data-code]')).toContainText('The address is on the moon')
  await expect(page.locator('[data-code]')).toContainText('0af7651916cd43dd8448eb211c80319c')
  await expect(page.getByTestId('cart-count')).toContainText('1')
})

test('a shop that dies after it took the order: the page remembers what it asked, says why it waits, and orders once', async ({ page, request }) => {
  const product = await someProduct(request, 33)
  await readyToOrder(page, product.productId)
  let reached = 0
  await page.route(CHECKOUT, async (route) => {
    if (reached++ === 0) await route.fetch()
    return route.abort('connectionrefused')
  })
  await placeOrder(page).click()
  const unfinished = page.getByRole('group', { name: 'Unfinished order' })
  await expect(unfinished).toContainText('We don’t know whether your order was placed')
  await page.route('**/api/ecommerce/**', (route) => route.abort('connectionrefused'))
  await page.reload()
  await expect(unfinished).toContainText('The shop could not be reached.')
  await expect(unfinished).not.toContainText('closed')

  await page.unroute('**/api/ecommerce/**')
  await page.unroute(CHECKOUT)
  await page.reload()
  await page.getByRole('button', { name: 'Check order status' }).click()
  await expect(orderStatus(page)).toHaveText('Confirmed')
  await page.goto('/orders')
  await expect(page.locator('li[data-order]')).toHaveCount(1)
  await addToCart(page, product.productId, 1)
  await page.goto('/checkout')
  for (const [label, text] of Object.entries(ADDRESS)) await expect(page.getByLabel(label)).toHaveValue(text)
})

test('an attempt without an answer shows the address that it asked with, locked', async ({ page, request }) => {
  const product = await someProduct(request, 34)
  await readyToOrder(page, product.productId)
  await page.route(CHECKOUT, (route) => route.abort('connectionrefused'))
  await placeOrder(page).click()
  await expect(page.getByRole('group', { name: 'Unfinished order' })).toContainText('We don’t know whether your order was placed')
  await page.reload()
  for (const [label, text] of Object.entries(ADDRESS)) {
    await expect(page.getByLabel(label)).toHaveValue(text)
    await expect(page.getByLabel(label)).toBeDisabled()
  }
  await page.unroute(CHECKOUT)
  await page.getByRole('button', { name: 'Check order status' }).dblclick()
  await expect(orderStatus(page)).toHaveText('Confirmed')
})
