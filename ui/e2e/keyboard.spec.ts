import { expect, test, type Locator, type Page } from '@playwright/test'

import { ADDRESS, isLive, orderStatus, someProduct } from './shop'

/** More stops than any page has. */
const MOST_STOPS = 150

/** Presses Tab until `target` has the focus. */
async function tabTo(page: Page, target: Locator, key: 'Tab' | 'Shift+Tab' = 'Tab'): Promise<void> {
  await expect(target).toBeVisible()
  for (let stops = 0; stops < MOST_STOPS; stops++) {
    if (await target.evaluate((element) => element === document.activeElement)) return
    await page.keyboard.press(key)
  }
  throw new Error(`the keyboard does not reach ${target}`)
}

test('a purchase by keyboard alone', async ({ page, request }) => {
  const product = await someProduct(request, 9)
  await page.goto('/')
  await isLive(page)
  await page.keyboard.press('Tab')
  await expect(page.getByRole('link', { name: 'Skip to content' })).toBeFocused()
  await expect(page.getByRole('link', { name: 'Skip to content' })).toBeInViewport()

  await tabTo(page, page.getByRole('searchbox', { name: 'Search the shop' }))
  await page.keyboard.type(product.name)
  const add = page.getByRole('button', { name: `Add ${product.name} to cart`, exact: true })
  await expect(page.locator('main li[data-product]').first()).toHaveAttribute('data-product', product.productId)
  await tabTo(page, add)
  await page.keyboard.press('Enter')
  await expect(page.getByTestId('cart-count')).toContainText('1')
  await expect(page.getByRole('status')).toContainText(`${product.name} added to your cart`)
  await expect(add, 'it can be pressed again').toBeFocused()

  const cartButton = page.getByRole('button', { name: /^Cart/ })
  await tabTo(page, cartButton, 'Shift+Tab')
  await page.keyboard.press('Enter')
  const cart = page.getByRole('dialog', { name: 'Your cart' })
  await expect(cart).toBeVisible()
  await page.keyboard.press('Escape')
  await expect(cart).toBeHidden()
  await expect(cartButton).toBeFocused()
  await page.keyboard.press('Enter')
  await tabTo(page, cart.getByRole('button', { name: 'One more' }))
  await page.keyboard.press('Space')
  await expect(cart.getByTestId('quantity')).toHaveText('2')
  await expect(page.getByRole('status')).toContainText(`${product.name}: 2`)
  await tabTo(page, cart.getByRole('link', { name: 'Check out' }))
  await page.keyboard.press('Enter')

  await expect(page.getByRole('heading', { level: 1, name: 'Checkout' })).toBeVisible()
  await tabTo(page, page.getByRole('button', { name: /^Place order for/ }))
  await page.keyboard.press('Enter')
  await expect(page.getByLabel('Full name')).toBeFocused()
  await expect(page.getByLabel('Full name')).toHaveAccessibleDescription('Full name is missing')
  for (const [label, text] of Object.entries(ADDRESS)) {
    await tabTo(page, page.getByLabel(label))
    await page.keyboard.type(text)
  }
  await tabTo(page, page.getByRole('radio', { name: 'Card' }))
  await page.keyboard.press('ArrowDown')
  await expect(page.getByRole('radio', { name: 'PayPal' })).toBeChecked()
  await tabTo(page, page.getByRole('button', { name: /^Place order for/ }))
  await page.keyboard.press('Enter')
  await expect(orderStatus(page)).toHaveText('Confirmed')
})

test('buttons that have done their work keep the focus', async ({ page, request }) => {
  const product = await someProduct(request, 10)
  await page.goto(`/product/${product.productId}`)
  await isLive(page)
  const box = page.getByRole('main')
  await tabTo(page, box.getByRole('button', { name: 'One more' }))
  await page.keyboard.press('Enter')
  await expect(box.getByTestId('quantity')).toHaveText('2')
  const less = box.getByRole('button', { name: 'One less' })
  await tabTo(page, less, 'Shift+Tab')
  for (let presses = 0; presses < 2; presses++) await page.keyboard.press('Enter')
  await expect(box.getByTestId('quantity')).toHaveText('1')
  await expect(less).toBeFocused()
  await expect(less).toHaveAttribute('aria-disabled', 'true')
  const add = box.getByRole('button', { name: 'Add to cart' })
  await tabTo(page, add)
  for (const units of ['1', '2']) {
    await page.keyboard.press('Enter')
    await expect(page.getByTestId('cart-count')).toContainText(units)
    await expect(add).toBeFocused()
  }
})
