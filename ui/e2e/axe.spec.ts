import { AxeBuilder } from '@axe-core/playwright'
import { expect, test, type Page } from '@playwright/test'

import { addToCart, cardOf, fillAddress, isLive, orderStatus, placeOrder, someProduct } from './shop'

async function isClean(page: Page, where: string): Promise<void> {
  // Colours in transition are none of the design's.
  await page.evaluate(() => Promise.all(document.getAnimations().map((animation) => animation.finished.catch(() => undefined))))
  const { violations } = await new AxeBuilder({ page }).withTags(['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']).analyze()
  expect(
    violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(' | ')}`),
    where,
  ).toEqual([])
}

for (const [colorScheme, width] of [
  ['light', 1280],
  ['dark', 390],
] as const) {
  test(`axe finds nothing on any page, ${colorScheme}, ${width} px wide`, async ({ browser, request }) => {
    test.setTimeout(120_000)
    const product = await someProduct(request, colorScheme === 'light' ? 10 : 11)
    const context = await browser.newContext({ colorScheme, viewport: { width, height: 844 } })
    const page = await context.newPage()
    await page.goto('/')
    await isLive(page)
    await expect(page.locator('main li[data-product]').first()).toBeVisible()
    await isClean(page, 'grid')
    expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth), 'no sideways scrolling').toBeLessThanOrEqual(0)

    await page.goto(`/?search=${encodeURIComponent(product.name)}`)
    await expect(cardOf(page, product.productId)).toBeVisible()
    await isClean(page, 'search')
    await page.goto('/?search=nothing-is-called-so')
    await expect(page.getByText('Nothing on the shelves matches')).toBeVisible()
    await isClean(page, 'empty search')

    await addToCart(page, product.productId, 1)
    await isClean(page, 'product')
    await page.getByRole('button', { name: /^Cart/ }).click()
    await expect(page.getByRole('dialog', { name: 'Your cart' })).toBeVisible()
    await isClean(page, 'cart drawer')
    await page.goto('/cart')
    await expect(page.getByRole('main').getByRole('link', { name: 'Check out' })).toBeVisible()
    await isClean(page, 'cart')

    await page.goto('/checkout')
    await placeOrder(page).click()
    await expect(page.getByText('Full name is missing')).toBeVisible()
    await isClean(page, 'checkout with errors')
    await fillAddress(page)
    await placeOrder(page).click()
    await expect(orderStatus(page)).toHaveText('Confirmed')
    await isClean(page, 'order')
    await page.goto('/orders')
    await expect(orderStatus(page)).toHaveText('Confirmed')
    await isClean(page, 'orders')
    await page.goto('/nowhere')
    await expect(page.getByRole('heading', { level: 1 })).toBeVisible()
    await isClean(page, 'not found')
    await context.close()
  })
}

test('everything to press is 44 px high or more on a phone', async ({ browser, request }) => {
  const product = await someProduct(request, 12)
  const context = await browser.newContext({ viewport: { width: 390, height: 844 }, hasTouch: true })
  const page = await context.newPage()
  for (const path of ['/', `/product/${product.productId}`, '/orders']) {
    await page.goto(path)
    await isLive(page)
    await expect(page.getByRole('heading', { level: 1 })).toBeVisible()
    const small = await page.locator('a:visible, button:visible, select:visible').evaluateAll((elements) =>
      elements.flatMap((element) => {
        const box = element.getBoundingClientRect()
        // A card's link reaches over its whole card, the skip link shows on focus only.
        const stretched = getComputedStyle(element, '::after').position === 'absolute'
        return stretched || element.className.includes('sr-only') || (box.height >= 43.5 && box.width >= 24) ? [] : [`${element.textContent}: ${box.width}x${box.height}`]
      }),
    )
    expect(small, path).toEqual([])
  }
  await context.close()
})
