import { expect, test, type APIRequestContext, type Page } from '@playwright/test'

import { isClean } from './axe'
import { addToCart, ADDRESS, canProduce, discontinue, fillAddress, isLive, isSold, orderStatus, placeOrder, produce, someProduct } from './shop'

/** A product of this spec's own, so that its price, stock and end are this spec's to choose. */
async function ownProduct(request: APIRequestContext, productId: string, name: string, price: number, inventory: number): Promise<void> {
  await produce(request, { productId, name, price, inventory, category: 'Buying' })
  await isSold(request, productId, (product) => product.price === price && product.inventory === inventory)
}

async function atCheckout(page: Page, productId: string, units = 1): Promise<void> {
  await addToCart(page, productId, units)
  await page.goto('/checkout')
  await isLive(page)
  await fillAddress(page)
  await expect(placeOrder(page)).toBeEnabled()
}

const accept = (page: Page) => page.getByRole('button', { name: /^Accept/ })
const totalOf = async (page: Page) => (await page.getByTestId('total').textContent()) ?? ''

test.describe('the total that was shown', () => {
  test.skip(!canProduce, 'KARTSHOPPE_ADMIN_URL is not set')

  for (const width of [1280, 390]) {
    test(`is the one that is ordered: a price rise must be accepted, ${width} px wide`, async ({ page, request }) => {
      const id = `RISE-${width}`
      await page.setViewportSize({ width, height: 844 })
      await ownProduct(request, id, `Rising Lamp ${width}`, 240, 20)
      await atCheckout(page, id)
      const before = await totalOf(page)
      let asked = 0
      page.on('request', (sent) => void (asked += sent.url().endsWith('/api/ecommerce/checkout') ? 1 : 0))
      await produce(request, { productId: id, price: 9_999.99 })

      await expect(accept(page)).toBeVisible()
      const after = await totalOf(page)
      expect(after).not.toBe(before)
      await expect(accept(page)).toHaveText(`Accept ${after}`)
      await expect(page.getByRole('group', { name: 'The total has changed' })).toContainText(before)
      await expect(page.getByRole('group', { name: 'The total has changed' })).toContainText('$240.00 → $9,999.99')
      await expect(placeOrder(page)).toHaveCount(0)
      await expect(page.getByRole('button', { name: 'The total has changed' })).toBeDisabled()
      await isClean(page, 'a new total')
      await page.getByLabel('Country').press('Enter')
      expect(asked, 'nothing was ordered').toBe(0)

      await accept(page).click()
      await expect(placeOrder(page)).toHaveText(`Place order for ${after}`)
      await expect(placeOrder(page)).toBeFocused()
      await placeOrder(page).click()
      await expect(orderStatus(page)).toHaveText('Confirmed')
      await expect(page.getByTestId('total')).toHaveText(after)
      expect(asked).toBe(1)
    })
  }

  test('follows the shopper’s own quantities, and not those of another tab', async ({ page, context, request }) => {
    await ownProduct(request, 'OWN-1', 'Own Quantity Jug', 10, 50)
    await atCheckout(page, 'OWN-1')
    const line = page.locator('[data-line="OWN-1"]')
    await line.getByRole('button', { name: 'One more' }).click()
    await line.getByRole('textbox', { name: 'Quantity' }).fill('5')
    await line.getByRole('textbox', { name: 'Quantity' }).press('Enter')
    await expect(line).toContainText('$50.00')
    await expect(placeOrder(page)).toHaveText(`Place order for ${await totalOf(page)}`)
    await expect(accept(page)).toHaveCount(0)

    const other = await context.newPage()
    await other.goto('/cart')
    await isLive(other)
    await other.locator('[data-line="OWN-1"]').getByRole('button', { name: 'One more' }).click()
    await expect(page.getByRole('group', { name: 'The total has changed' })).toContainText('5 → 6 units')
    await accept(page).click()
    await placeOrder(page).click()
    await expect(orderStatus(page)).toHaveText('Confirmed')
  })
})

test.describe('a product that is no longer sold', () => {
  test.skip(!canProduce, 'KARTSHOPPE_ADMIN_URL is not set')

  test('keeps its name in the cart, costs nothing, holds the order and can be removed', async ({ page, request }) => {
    await ownProduct(request, 'GONE-1', 'Vanishing Vase', 30, 5)
    await ownProduct(request, 'STAYS-1', 'Staying Stool', 10, 5)
    await addToCart(page, 'STAYS-1', 1)
    await page.goto('/product/GONE-1')
    await isLive(page)
    await page.getByRole('main').getByRole('button', { name: 'Add to cart' }).click()
    await expect(page.getByTestId('cart-count')).toContainText('2')
    await page.goto('/checkout')
    await isLive(page)
    await fillAddress(page)
    await discontinue(request, 'GONE-1')

    const line = page.locator('[data-line="GONE-1"]')
    for (const at of ['/checkout', '/cart', '/cart after a reload']) {
      if (at !== '/checkout') await page.goto('/cart')
      await expect(line.locator('s'), at).toHaveText('Vanishing Vase')
      await expect(line, at).toContainText('No longer sold')
      await expect(line, at).not.toContainText('$0.00')
      await expect(page.getByRole('main').getByRole('link', { name: 'Check out' }), at).toHaveCount(0)
      await expect(page.getByText(/^Remove what is no longer sold/), at).toBeVisible()
    }
    await page.goto('/checkout')
    await expect(page.getByRole('button', { name: /^Not all of it is sold/ })).toBeDisabled()
    await line.getByRole('button', { name: 'Remove Vanishing Vase' }).click()
    await expect(line).toHaveCount(0)
    await expect(placeOrder(page)).toBeEnabled()
    await placeOrder(page).click()
    await expect(orderStatus(page)).toHaveText('Confirmed')
  })
})

test.describe('less in stock than wanted', () => {
  test.skip(!canProduce, 'KARTSHOPPE_ADMIN_URL is not set')

  test('is said, and one press lowers the quantity to what there is', async ({ page, request }) => {
    await ownProduct(request, 'FEW-1', 'Few of these', 10, 9)
    await addToCart(page, 'FEW-1', 6)
    await page.goto('/cart')
    await isLive(page)
    const line = page.locator('[data-line="FEW-1"]')
    await produce(request, { productId: 'FEW-1', inventory: 2 })
    await expect(line).toContainText('Only 2 in stock: 4 of 6 would be unavailable')
    await line.getByRole('button', { name: 'Lower to 2' }).click()
    await expect(line.getByTestId('quantity')).toHaveText('2')
    await expect(line).toContainText('$20.00')
    await expect(line.getByRole('button', { name: /^Lower/ })).toHaveCount(0)
    await produce(request, { productId: 'FEW-1', inventory: 0 })
    await expect(line).toContainText('Sold out: none of it would be reserved')
  })
})

test.describe('clicks', () => {
  test('on a slow line all count, and show at once', async ({ page, request }) => {
    const product = await someProduct(request, 20, 12)
    await page.goto(`/?search=${encodeURIComponent(product.name)}`)
    await isLive(page)
    await page.route('**/cart/*/add', async (route) => {
      await new Promise((resolve) => setTimeout(resolve, 1_500))
      await route.continue()
    })
    const add = page.getByRole('button', { name: `Add ${product.name} to cart`, exact: true })
    for (let clicks = 0; clicks < 5; clicks++) await add.click()
    await expect(page.getByTestId('cart-count'), 'before any answer').toContainText('5', { timeout: 1_000 })
    await expect(page.getByRole('status')).toContainText('5 × ', { timeout: 15_000 })
    await page.unroute('**/cart/*/add')
    await page.goto('/cart')
    await expect(page.locator(`[data-line="${product.productId}"]`).getByTestId('quantity')).toHaveText('5')
  })

  test('that the shop refuses are taken back and said', async ({ page, request }) => {
    const product = await someProduct(request, 21)
    await page.goto(`/product/${product.productId}`)
    await isLive(page)
    await page.route('**/cart/*/add', (route) => route.fulfill({ status: 404, contentType: 'application/problem+json', json: { type: 'about:blank', title: 'Not found', detail: 'no such product', status: 404, code: 'unknown_product' } }))
    await page.getByRole('main').getByRole('button', { name: 'Add to cart' }).click()
    await expect(page.getByRole('region', { name: 'Notes' })).toContainText('was not added. No such product.')
    await expect(page.getByTestId('cart-count')).toHaveCount(0)
  })
})

test('a quantity can be typed', async ({ page, request }) => {
  const product = await someProduct(request, 22, 8)
  await addToCart(page, product.productId, 1)
  await page.goto('/cart')
  await isLive(page)
  const line = page.locator(`[data-line="${product.productId}"]`)
  const field = line.getByRole('textbox', { name: 'Quantity' })
  for (const [typed, becomes] of [['7', '7'], ['many', '7'], ['', '7'], ['3', '3']] as const) {
    await field.fill(typed)
    await field.press('Enter')
    await expect(line.getByTestId('quantity')).toHaveText(becomes)
    await expect(field).toHaveValue(becomes)
  }
  await field.fill('0')
  await field.blur()
  await expect(line).toHaveCount(0)
})

test('the address survives a reload, another page and the next order', async ({ page, request }) => {
  const product = await someProduct(request, 23)
  await addToCart(page, product.productId, 1)
  await page.goto('/checkout')
  await fillAddress(page)
  await page.getByRole('radio', { name: 'PayPal' }).check()
  const isThere = async () => {
    for (const [label, text] of Object.entries(ADDRESS)) await expect(page.getByLabel(label)).toHaveValue(text)
    await expect(page.getByRole('radio', { name: 'PayPal' })).toBeChecked()
  }
  await page.reload()
  await isThere()
  await page.goto(`/product/${product.productId}`)
  await page.goto('/checkout')
  await isThere()
  await placeOrder(page).click()
  await expect(orderStatus(page)).toHaveText('Confirmed')
  await addToCart(page, product.productId, 1)
  await page.goto('/checkout')
  await isThere()
})

test('an address that can be none is refused, field by field', async ({ page, request }) => {
  const product = await someProduct(request, 24)
  await addToCart(page, product.productId, 1)
  await page.goto('/checkout')
  await fillAddress(page)
  for (const [label, text, problem] of [
    ['Full name', '12345', 'Full name must contain letters'],
    ['Postal code', '<b>', 'Postal code must be 2 to 16 letters and digits'],
    ['Country', '!!!', 'Country must contain letters'],
  ] as const) {
    const field = page.getByLabel(label)
    const good = await field.inputValue()
    await field.fill(text)
    await placeOrder(page).click()
    await expect(field).toBeFocused()
    await expect(field).toHaveAccessibleDescription(new RegExp(problem))
    await field.fill(good)
  }
  await placeOrder(page).click()
  await expect(orderStatus(page)).toHaveText('Confirmed')
})

test('a cart of 30 lines keeps its way to checkout in sight', async ({ page, request }) => {
  const answer = await request.get('/api/ecommerce/products?limit=30&sort=popular&inStock=true')
  const products = (await answer.json()) as { productId: string }[]
  await page.goto('/')
  const session = await page.evaluate(() => localStorage.getItem('kartshoppe.session'))
  for (const { productId } of products) await request.post(`/api/ecommerce/cart/${session}/add`, { data: { productId, quantity: 1 } })
  for (const size of [{ width: 1280, height: 700 }, { width: 390, height: 664 }]) {
    await page.setViewportSize(size)
    await page.reload()
    await isLive(page)
    await page.getByRole('button', { name: /^Cart/ }).click()
    const cart = page.getByRole('dialog', { name: 'Your cart' })
    await expect(cart.getByRole('listitem')).toHaveCount(30)
    await expect(cart.getByRole('link', { name: 'Check out' })).toBeInViewport({ ratio: 1 })
    await cart.getByRole('listitem').last().scrollIntoViewIfNeeded()
    await expect(cart.getByRole('listitem').last()).toBeInViewport()
    await expect(cart.getByRole('link', { name: 'Check out' })).toBeInViewport({ ratio: 1 })
    const small = await cart.locator('a:visible, button:visible').evaluateAll((elements) => elements.filter((element) => element.getBoundingClientRect().height < 43.5).map((element) => element.textContent))
    expect(small).toEqual([])
    await page.keyboard.press('Escape')
  }
})

test('a note stays while it has the focus, and gives it back when it is closed', async ({ page, request }) => {
  const product = await someProduct(request, 25)
  await page.clock.install()
  await page.goto(`/product/${product.productId}`)
  const add = page.getByRole('main').getByRole('button', { name: 'Add to cart' })
  await add.focus()
  await page.keyboard.press('Enter')
  const notes = page.getByRole('region', { name: 'Notes' })
  await expect(notes).toBeVisible()
  await add.evaluate(() => (document.querySelector('section[aria-label="Notes"] button') as HTMLElement).focus())
  await page.clock.runFor(20_000)
  await expect(notes.getByRole('button', { name: 'Close note' })).toBeFocused()
  await page.keyboard.press('Enter')
  await expect(notes).toHaveCount(0)
  await expect(add).toBeFocused()
})
