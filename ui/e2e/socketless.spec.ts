import { expect, test } from '@playwright/test'

import { canProduce, fillAddress, isSold, orderStatus, placeOrder, produce, stockOf } from './shop'

test.describe('a page that gets HTTP but no socket', () => {
  test.skip(!canProduce, 'KARTSHOPPE_ADMIN_URL is not set')

  test('changes quantities, removes, orders, and follows stock and orders by asking', async ({ page, request }) => {
    test.setTimeout(90_000)
    await produce(request, { productId: 'NOWS-1', name: 'Wireless Shelf', price: 10, inventory: 50, category: 'Socketless' })
    await produce(request, { productId: 'NOWS-2', name: 'Second Shelf', price: 10, inventory: 50, category: 'Socketless' })
    await isSold(request, 'NOWS-2')
    // Its path is `/ecommerce/…`; that of the API is `/api/ecommerce/…`.
    await page.routeWebSocket(/\/ecommerce\/session-/, (socket) => void socket.close())
    await page.goto('/product/NOWS-1')
    await expect(page.getByText(/^No live connection here/)).toBeVisible({ timeout: 20_000 })
    await expect(stockOf(page)).toContainText('50')
    await produce(request, { productId: 'NOWS-1', inventory: 40, price: 12 })
    await expect(stockOf(page)).toContainText('40')
    await expect(page.getByTestId('price').first()).toContainText('$12.00')
    for (const id of ['NOWS-1', 'NOWS-2']) {
      await page.goto(`/product/${id}`)
      await page.getByRole('main').getByRole('button', { name: 'Add to cart' }).click()
      await expect(page.getByText(/added to your cart/).first()).toBeVisible()
    }

    await page.goto('/cart')
    const line = page.locator('[data-line="NOWS-1"]')
    await line.getByRole('button', { name: 'One more' }).click()
    await line.getByRole('button', { name: 'One more' }).click()
    await expect(line).toContainText('$36.00')
    await page.locator('[data-line="NOWS-2"]').getByRole('button', { name: /^Remove/ }).click()
    await page.reload()
    await expect(line.getByTestId('quantity')).toHaveText('3')
    await expect(page.locator('[data-line="NOWS-2"]')).toHaveCount(0)

    await page.goto('/checkout')
    await fillAddress(page)
    await placeOrder(page).click()
    await expect(orderStatus(page)).toHaveText('Confirmed')
    await page.goto('/product/NOWS-1')
    await expect(stockOf(page)).toContainText('37')
  })
})
