import { expect, test, type Locator, type Page } from '@playwright/test'

import { isClean } from './axe'
import { addToCart, cardOf, fillAddress, isLive, orderStatus, placeOrder, someProduct } from './shop'

for (const [colorScheme, width, forcedColors] of [
  ['light', 1280, 'none'],
  ['dark', 390, 'none'],
  ['dark', 1280, 'active'],
] as const) {
  test(`axe finds nothing on any page, ${colorScheme}, ${width} px wide, forced colours ${forcedColors}`, async ({ browser, request }) => {
    test.setTimeout(120_000)
    const product = await someProduct(request, { light: 10, dark: 11 }[colorScheme] + (forcedColors === 'active' ? 19 : 0))
    const context = await browser.newContext({ colorScheme, forcedColors, viewport: { width, height: 844 } })
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

for (const [name, url] of [
  ['the shop', process.env['KARTSHOPPE_URL'] ?? ''],
  ['the operators', process.env['KARTSHOPPE_ADMIN_URL'] ?? ''],
] as const) {
  for (const [colorScheme, forcedColors] of [
    ['light', 'none'],
    ['dark', 'none'],
    ['dark', 'active'],
  ] as const) {
    test(`axe finds nothing where the API of ${name} is browsed, ${colorScheme}, forced colours ${forcedColors}`, async ({ browser }) => {
      test.skip(url === '', 'KARTSHOPPE_ADMIN_URL is not set')
      const context = await browser.newContext({ colorScheme, forcedColors })
      const page = await context.newPage()
      await page.goto(`${url}/docs/`)
      const livez = page.locator('.opblock').filter({ hasText: '/livez' })
      await expect(livez).toBeVisible()
      await isClean(page, 'operations')
      for (const kind of ['get', 'post', 'put', 'delete']) {
        const first = page.locator(`.opblock-${kind}`).first()
        if ((await first.count()) > 0) await first.locator('.opblock-summary-control').click()
      }
      await livez.locator('.opblock-summary-control').click()
      await livez.getByRole('button', { name: 'Try it out' }).click()
      await livez.getByRole('button', { name: 'Execute' }).click()
      await expect(livez.locator('.live-responses-table')).toBeVisible()
      await isClean(page, 'open operations with an answer')
      await context.close()
    })
  }
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

/** Contrast of two colours as the browser computes them, by WCAG. */
const CONTRAST = `(one, other) => {
  const light = (color) => {
    const [r, g, b] = color.match(/[\\d.]+/g).slice(0, 3).map(Number).map((part) => part / 255).map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
    return 0.2126 * r + 0.7152 * g + 0.0722 * b
  }
  const [low, high] = [light(one), light(other)].toSorted((a, b) => a - b)
  return (high + 0.05) / (low + 0.05)
}`

async function faintBorders(page: Page): Promise<string[]> {
  return page.evaluate(`(() => {
    const contrast = ${CONTRAST}
    const behind = (element) => {
      for (let at = element; at; at = at.parentElement) {
        const color = getComputedStyle(at).backgroundColor
        if (color !== 'rgba(0, 0, 0, 0)') return color
      }
      return getComputedStyle(document.documentElement).backgroundColor
    }
    return [...document.querySelectorAll('.field, .btn-plain, [role="group"][aria-label^="Quantity"], label:has(input[type="radio"])')]
      .filter((element) => element.getClientRects().length > 0)
      .map((element) => [element, contrast(getComputedStyle(element).borderTopColor, behind(element.parentElement))])
      .filter(([, ratio]) => ratio < 3)
      .map(([element, ratio]) => element.className + ': ' + ratio.toFixed(2))
  })()`)
}

for (const colorScheme of ['light', 'dark'] as const) {
  test(`borders of everything to press or fill in have a contrast of 3:1, ${colorScheme}`, async ({ browser, request }) => {
    const product = await someProduct(request, 31)
    const context = await browser.newContext({ colorScheme })
    const page = await context.newPage()
    await addToCart(page, product.productId, 1)
    for (const path of ['/', `/product/${product.productId}`, '/cart', '/checkout', '/nowhere']) {
      await page.goto(path)
      await isLive(page)
      await expect(page.getByRole('heading', { level: 1 })).toBeVisible()
      expect(await faintBorders(page), path).toEqual([])
    }
    await context.close()
  })
}

/** How much nearer a label's text is to one side than to the other. Without the notches at its lower side, a label is a box with its text in the middle. */
const apart = (label: Locator) =>
  label.evaluate((element) => {
    const text = document.createRange()
    text.selectNodeContents(element)
    const [inner, outer] = [text.getBoundingClientRect(), element.getBoundingClientRect()]
    return Math.abs(inner.top - outer.top - (outer.bottom - inner.bottom))
  })

test('forced colours tell the chosen category, payment and state apart', async ({ browser, request }) => {
  const product = await someProduct(request, 32)
  const context = await browser.newContext({ forcedColors: 'active' })
  const page = await context.newPage()
  await page.goto('/?category=Toys')
  await isLive(page)
  const background = (name: string) => page.getByRole('link', { name, exact: true }).first().evaluate((element) => getComputedStyle(element).backgroundColor)
  await expect(page.getByRole('link', { name: 'Toys', exact: true }).first()).toHaveAttribute('aria-current', /./)
  expect(await background('Toys')).not.toBe(await background('Books'))
  await addToCart(page, product.productId, 1)
  await page.goto('/checkout')
  await expect(placeOrder(page)).toBeVisible()
  const hidden = await page.locator('.bg-label, .bg-leaf, .bg-ink, .btn-main').evaluateAll((parts) => parts.filter((part) => getComputedStyle(part).getPropertyValue('forced-color-adjust') !== 'none').map((part) => part.outerHTML))
  expect(hidden, 'text under which the browser lays its own colour').toEqual([])
  await expect(page.getByTestId('cart-count')).toBeVisible()
  const choice = (name: string) => page.locator('label').filter({ hasText: name }).evaluate((element) => getComputedStyle(element).backgroundColor)
  expect(await choice('Card')).not.toBe(await choice('PayPal'))

  await fillAddress(page)
  await placeOrder(page).click()
  await expect(orderStatus(page)).toHaveText('Confirmed')
  expect(await apart(orderStatus(page)), 'half a pixel may be rounded').toBeLessThanOrEqual(1)
  await page.goto(`/product/${product.productId}`)
  await expect(page.getByTestId('price').first()).toBeVisible()
  expect(await apart(page.getByTestId('price').first()), 'half a pixel may be rounded').toBeLessThanOrEqual(1)
  await page.goto('/nowhere')
  expect(await apart(page.getByText('404', { exact: true })), 'half a pixel may be rounded').toBeLessThanOrEqual(1)
  await context.close()
})
