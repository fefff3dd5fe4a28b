import { expect, test, type Locator } from '@playwright/test'

import { addToCart, fillAddress, isLive, orderStatus, placeOrder, someProduct } from './shop'

test.use({ viewport: { width: 390, height: 844 }, hasTouch: true })

async function boxOf(part: Locator): Promise<{ x: number; y: number; width: number; height: number }> {
  const box = await part.boundingBox()
  if (!box) throw new Error('it is not on the page')
  return box
}

test('on a phone one sees items and total before the button that orders them', async ({ page, request }) => {
  const product = await someProduct(request, 15)
  await addToCart(page, product.productId, 1)
  await page.goto('/checkout')
  await fillAddress(page)
  const places = [page.getByLabel('Country'), page.locator(`[data-line="${product.productId}"]`), page.getByTestId('total'), placeOrder(page)]
  const tops = await Promise.all(places.map(async (place) => (await boxOf(place)).y))
  expect(tops).toEqual(tops.toSorted((a, b) => a - b))
  await page.getByLabel('Country').press('Enter')
  await expect(orderStatus(page), 'Enter in a field orders as well').toHaveText('Confirmed')
})

test('on a phone no change of stock moves the shelves, and no note covers the button that gave it', async ({ page, context, request }) => {
  const product = await someProduct(request, 16)
  await page.goto('/')
  await isLive(page)
  const card = page.locator('main li[data-product]').first()
  const top = (await boxOf(card)).y
  const buyer = await context.newPage()
  await addToCart(buyer, product.productId, 1)
  const [note, button] = [await boxOf(buyer.getByRole('region', { name: 'Notes' })), await boxOf(buyer.getByRole('button', { name: 'Add to cart' }))]
  expect(note.y + note.height).toBeLessThan(button.y)
  await buyer.goto('/checkout')
  await fillAddress(buyer)
  await placeOrder(buyer).click()
  await expect(orderStatus(buyer)).toHaveText('Confirmed')
  await expect(page.getByTestId('ticker')).toContainText(product.name)
  expect((await boxOf(card)).y).toBe(top)
})

test('on a phone the chosen category is in sight, focus rings are whole, and no page is wider than the screen', async ({ page }) => {
  await page.goto('/?category=Toys')
  await isLive(page)
  const categories = page.getByRole('navigation', { name: 'Categories' })
  const chosen = categories.getByRole('link', { name: 'Toys' })
  await expect(chosen).toHaveAttribute('aria-current', 'true')
  await expect.poll(async () => (await boxOf(chosen)).x + (await boxOf(chosen)).width).toBeLessThanOrEqual(390 - 15)
  const [row, link] = [await boxOf(categories), await boxOf(chosen)]
  const ring = 3 + 2
  expect(link.y - row.y, 'room above for the ring').toBeGreaterThanOrEqual(ring)
  expect(row.y + row.height - link.y - link.height, 'room below for the ring').toBeGreaterThanOrEqual(ring)
  for (const path of ['/', '/cart', '/checkout', '/orders', '/product/PROD_0001', '/nowhere']) {
    await page.goto(path)
    await isLive(page)
    expect(await page.evaluate(() => document.documentElement.scrollWidth), path).toBeLessThanOrEqual(390)
  }
})
