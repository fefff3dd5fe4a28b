import { expect, test } from '@playwright/test'

import { isLive, someProduct } from './shop'

test('search, category, sort and stock live in the address', async ({ page, request }) => {
  const product = await someProduct(request, 3)
  await page.goto('/')
  await isLive(page)
  await page.getByRole('searchbox', { name: 'Search the shop' }).fill(product.name)
  await expect(page).toHaveURL(/search=/)
  await expect(page.locator('main li[data-product]').first()).toHaveAttribute('data-product', product.productId)

  await page.getByRole('navigation', { name: 'Categories' }).getByRole('link', { name: product.category, exact: true }).click()
  await page.getByRole('combobox', { name: 'Sort by' }).selectOption({ label: 'Price: low to high' })
  await page.getByRole('checkbox', { name: 'In stock only' }).check()
  await expect(page).toHaveURL(/sort=price-low.*inStock=true/)
  await page.reload()
  await expect(page.getByRole('combobox', { name: 'Sort by' })).toHaveValue('price-low')
  await expect(page.getByRole('checkbox', { name: 'In stock only' })).toBeChecked()
  await expect(page.getByRole('searchbox', { name: 'Search the shop' })).toHaveValue(product.name)
  await page.goBack()
  await expect(page.getByRole('checkbox', { name: 'In stock only' })).not.toBeChecked()
})

test('prices are in the order asked for, and more are shown on demand', async ({ page }) => {
  await page.goto('/?sort=price-low')
  const prices = page.locator('main li[data-product]').getByTestId('price')
  await expect(prices).toHaveCount(24)
  const amounts = (await prices.allTextContents()).map((text) => Number(text.replace(/[^0-9.]/g, '')))
  expect(amounts).toEqual(amounts.toSorted((a, b) => a - b))
  await page.getByRole('button', { name: 'Show more' }).click()
  await expect(prices).toHaveCount(48)
  await expect(page).toHaveURL(/shown=48/)
})

test('what is not there has a page that says so', async ({ page }) => {
  for (const path of ['/nowhere', '/product/NO_SUCH', '/orders/no-such-order']) {
    await page.goto(path)
    await expect(page.getByRole('heading', { level: 1, name: /^There is no such/ })).toBeVisible()
  }
})

test('no request leaves the shop', async ({ page, baseURL, request }) => {
  const product = await someProduct(request, 4)
  const hosts = new Set<string>()
  page.on('request', (sent) => {
    if (!sent.url().startsWith('data:')) hosts.add(new URL(sent.url()).host)
  })
  await page.goto('/')
  await isLive(page)
  await page.goto(`/product/${product.productId}`)
  await isLive(page)
  await expect(page.getByRole('img', { name: `Picture of ${product.name}` })).toHaveJSProperty('complete', true)
  expect([...hosts]).toEqual([new URL(baseURL ?? '').host])
})
