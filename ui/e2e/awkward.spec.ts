import { expect, test, type Page } from '@playwright/test'

import { HOSTILE, offer, withdraw, type Offered } from './hostile'
import { canProduce, fillAddress, isLive, overflow, placeOrder, produce } from './shop'

const WIDE = 'W'.repeat(200)
/** Words in every place that a product has for them, and figures at their limits. */
const OWN = [
  { productId: 'AWK-WORDS', name: WIDE, brand: 'B'.repeat(100), category: 'Donaudampfschifffahrtsgesellschaftskapitän', description: 'd'.repeat(500), tags: ['t'.repeat(100), 'donaudampfschifffahrt'], price: 99_999_999.99, inventory: 1_000_000_000_000, rating: 5, reviewCount: 12_345_678 },
  { productId: 'AWK-BIDI', name: 'Cable \u202E(kcotsni)', brand: '\u2067شركة', category: 'Odd', description: 'كابل \u202Eabc', tags: ['\u202Etag'], price: 9.5, inventory: 3 },
  { productId: 'AWK-ARABIC', name: 'كرسي خشبي قابل للطي', brand: 'شركة', category: 'Odd', price: 9.5, inventory: 30 },
  { productId: 'AWK-MARKS', name: `Z${'\u0351\u0321'.repeat(60)}algo`, category: 'Odd', price: 9.5, inventory: 30 },
]

/** Odd ids differ in their address, not in their words: a few of them stand for all. */
function hasPageOfItsOwn({ category }: Offered, index: number): boolean {
  return category !== 'Odd ids' || index % 16 === 0
}

async function holds(page: Page, where: string): Promise<void> {
  expect(await overflow(page), `${where}: sideways scrolling`).toBeLessThanOrEqual(0)
  const outside = await page.getByRole('main').locator('p, h1, h2, a, button, dd, li').evaluateAll((elements) =>
    elements
      .filter((element) => element.getClientRects().length > 0 && !element.className.toString().includes('sr-only'))
      .filter((element) => element.getBoundingClientRect().right > innerWidth + 1 && !element.closest('nav[aria-label="Categories"]'))
      .map((element) => `${element.tagName} ${element.textContent?.slice(0, 40)}`),
  )
  expect(outside, `${where}: out of sight`).toEqual([])
}

test.describe('products of any words and figures', () => {
  test.skip(!canProduce, 'KARTSHOPPE_ADMIN_URL is not set')
  test.afterEach(({ request }) => withdraw(request, [...HOSTILE, ...OWN]))

  test('hold the layout of product, cart, checkout and order at 320 px', async ({ page, request }) => {
    test.setTimeout(120_000)
    await offer(request)
    await produce(request, ...OWN)
    await page.setViewportSize({ width: 320, height: 640 })
    await page.goto('/orders')
    const session = await page.evaluate(() => localStorage.getItem('kartshoppe.session'))
    const all: Offered[] = [...OWN, ...HOSTILE]
    await expect.poll(async () => (await request.get('/api/ecommerce/product/AWK-MARKS')).status()).toBe(200)
    for (const { productId } of all.filter(hasPageOfItsOwn)) {
      await page.goto(`/product/${encodeURIComponent(productId)}`)
      await expect(page.getByRole('heading', { name: 'The last hour' }), productId).toBeVisible()
      await holds(page, `product ${productId}`)
      if (productId !== 'AWK-WORDS') continue
      for (const width of [390, 1280, 320]) {
        await page.setViewportSize({ width, height: 640 })
        await holds(page, `product ${productId}, ${width} px`)
      }
    }
    await page.goto('/product/AWK-BIDI')
    await isLive(page)
    await expect(page.getByRole('heading', { level: 1 })).toHaveText('Cable (kcotsni)')
    await page.getByRole('main').getByRole('button', { name: 'Add to cart' }).click()
    await expect(page.getByRole('region', { name: 'Notes' })).toContainText('Cable (kcotsni) added to your cart')
    await page.goto('/product/AWK-WORDS')
    await expect(page.getByTestId('stock').first()).toContainText('1,000,000,000,000 in stock')

    // One line alone first: more of the dearest would be more than an order may cost.
    for (const { productId } of all.filter(({ inventory, price }) => inventory > 0 && price < 1_000_000)) {
      await request.post(`/api/ecommerce/cart/${session}/add`, { data: { productId, quantity: 1 } })
    }
    for (const path of ['/cart', '/checkout']) {
      await page.goto(path)
      await isLive(page)
      await expect(page.locator('[data-line="AWK-MARKS"]')).toBeVisible()
      await holds(page, path)
    }
    await fillAddress(page)
    await page.getByLabel('Street and number').fill('Donaudampfschifffahrtsgesellschaftskapitänskajütenschlüsselloch 17')
    await placeOrder(page).click()
    await expect(page.getByTestId('timeline')).toBeVisible()
    await holds(page, 'order')
    await page.goto('/orders')
    await expect(page.locator('li[data-order]')).toHaveCount(1)
    await holds(page, 'orders')
  })
})
