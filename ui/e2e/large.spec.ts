import { expect, test, type Page } from '@playwright/test'

import { canRunShop, largeShop, type LargeShop } from './largeShop'
import { isLive } from './shop'

const PRODUCTS = 100_000
const LAST_PAGE = Math.ceil(PRODUCTS / 24)
/** Ten pages in the document, and what is around them. */
const MOST_NODES = 15_000
const SCROLLED_MS = 4_000

let shop: LargeShop

/** Takes minutes to fill: `make e2e-large`. Figures are printed and judged by who reads them. */
test.describe('a shop of a hundred thousand products', () => {
  test.skip(!canRunShop, 'needs the binary: KARTSHOPPE_BINARY')
  test.describe.configure({ mode: 'serial', retries: 0 })
  test.beforeAll(async () => {
    test.setTimeout(900_000)
    shop = await largeShop(PRODUCTS)
  })
  test.afterAll(() => shop?.stop())

  test('its last product is reached by paging, step by step and at once, in every order', async ({ page }) => {
    test.setTimeout(300_000)
    for (const sort of ['featured', 'price-low', 'newest']) {
      await page.goto(`${shop.url}/?sort=${sort}`)
      await isLive(page)
      await expect(page.getByTestId('count')).toContainText('100,000 products')
      await page.getByRole('navigation', { name: 'Pages' }).getByRole('link', { name: /^Last page/ }).click()
      await expect(page).toHaveURL(new RegExp(`page=${LAST_PAGE}$`))
      await expect(page.locator('main li[data-product]')).toHaveCount(PRODUCTS % 24 || 24)
      const answer = await page.request.get(`${shop.url}/api/ecommerce/products?sort=${sort}&limit=24&page=${LAST_PAGE}`)
      const last = (await answer.json()) as { productId: string }[]
      await expect(page.locator('main li[data-product]').last()).toHaveAttribute('data-product', last.at(-1)?.productId ?? 'none')
    }
    await page.goto(`${shop.url}/?sort=price-low&page=${LAST_PAGE - 2}`)
    for (const products of [48, 64]) {
      await page.getByRole('button', { name: 'Show more' }).click()
      await expect(page.locator('main li[data-product]')).toHaveCount(products)
    }
    await expect(page.getByRole('button', { name: 'Show more' })).toHaveCount(0)
    await page.getByRole('searchbox', { name: 'Search the shop' }).fill('Bulk Thing 100000')
    await expect(page.locator('main li[data-product]').first()).toHaveAttribute('data-product', 'BULK_100000')
  })

  test('a long list scrolls, and holds few cards', async ({ page }) => {
    test.setTimeout(300_000)
    await page.goto(`${shop.url}/?sort=price-low&shown=4800`)
    await isLive(page)
    await expect(page.locator('main li[data-product]').first()).toBeVisible()
    const session = await page.context().newCDPSession(page)
    await session.send('HeapProfiler.collectGarbage')
    const before = await heapOf(page)
    const { frames, slowest } = await whileScrolling(page)
    await expect(page.locator('main li[data-product]:visible').first()).toBeVisible()
    await session.send('HeapProfiler.collectGarbage')
    const nodes = await page.evaluate(() => document.querySelectorAll('*').length)
    process.stdout.write(`100,000 products: ${frames.toFixed(0)} frames/s while scrolling, slowest frame ${slowest.toFixed(0)} ms, ${nodes} nodes, heap ${before.toFixed(1)} MB, after scrolling ${(await heapOf(page)).toFixed(1)} MB\n`)
    expect(nodes).toBeLessThan(MOST_NODES)
  })
})

async function heapOf(page: Page): Promise<number> {
  return page.evaluate(() => (performance as unknown as { memory: { usedJSHeapSize: number } }).memory.usedJSHeapSize / 2 ** 20)
}

/** Turns the wheel and counts the frames meanwhile. */
async function whileScrolling(page: Page): Promise<{ frames: number; slowest: number }> {
  await page.mouse.move(640, 430)
  const counting = page.evaluate(
    (ms) =>
      new Promise<{ frames: number; slowest: number }>((done) => {
        const began = performance.now()
        let [count, last, slowest] = [0, began, 0]
        const frame = (now: number) => {
          slowest = Math.max(slowest, now - last)
          last = now
          count++
          if (now - began < ms) requestAnimationFrame(frame)
          else done({ frames: (count / (now - began)) * 1_000, slowest })
        }
        requestAnimationFrame(frame)
      }),
    SCROLLED_MS,
  )
  const ends = Date.now() + SCROLLED_MS
  while (Date.now() < ends) {
    await page.mouse.wheel(0, 240)
    await page.waitForTimeout(30)
  }
  return counting
}
