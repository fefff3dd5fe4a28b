import { expect, test, type APIRequestContext } from '@playwright/test'

import { addToCart, fillAddress, isLive, orderStatus, placeOrder, someProduct, stockOf } from './shop'

const admin = process.env['KARTSHOPPE_ADMIN_URL'] ?? ''

async function inventory(request: APIRequestContext, act: 'start' | 'stop'): Promise<void> {
  const answer = await request.post(`${admin}/admin/roles/inventory/${act}`, { headers: { 'x-kartshoppe-operator': 'e2e' } })
  expect(answer.ok(), `${act} inventory: ${answer.status()}`).toBe(true)
}

test.describe('without inventory', () => {
  test.skip(admin === '', 'KARTSHOPPE_ADMIN_URL is not set')
  test.afterEach(({ request }) => inventory(request, 'start'))

  test('the page says that no inventory is running, orders wait, and all settles when it is back', async ({ page, request }) => {
    const product = await someProduct(request, 13)
    await page.goto(`/product/${product.productId}`)
    await isLive(page)
    await inventory(request, 'stop')
    await expect(page.getByText(/^No inventory is running/)).toBeVisible({ timeout: 40_000 })
    await addToCart(page, product.productId, 1)
    await page.goto('/checkout')
    await fillAddress(page)
    await placeOrder(page).click()
    await expect(orderStatus(page)).toHaveText('Pending')
    await expect(page.getByTestId('explanation')).toContainText('Inventory is offline')

    await inventory(request, 'start')
    await expect(page.getByText(/^No inventory is running/)).toBeHidden({ timeout: 40_000 })
    await expect(orderStatus(page)).toHaveText('Confirmed')
    await page.goto(`/product/${product.productId}`)
    await expect(stockOf(page)).toContainText(String(product.inventory - 1))
  })
})
