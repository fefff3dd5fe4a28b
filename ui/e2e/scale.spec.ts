import { expect, test, type Page } from '@playwright/test'

import { canRunShop, largeShop, type LargeShop } from './largeShop'
import { isLive } from './shop'

const PRODUCTS = 10_000
const LAST_PAGE = Math.ceil(PRODUCTS / 24)
/** Ten pages in the document, and what is around them. */
const MOST_NODES = 15_000

let shop: LargeShop

test.describe('a shop of ten thousand products', () => {
  test.skip(!canRunShop, 'KARTSHOPPE_BIN names no binary to start')
  test.describe.configure({ mode: 'serial' })
  test.beforeAll(async () => {
    test.setTimeout(180_000)
    shop = await largeShop(PRODUCTS)
  })
  test.afterAll(() => shop?.stop())

  test('its last product is reached, by pages that keep the focus, and Back leads back', async ({ page }) => {
    await page.goto(`${shop.url}/?sort=price-low`)
    await isLive(page)
    await expect(page.getByTestId('count')).toContainText('10,000 products')
    const pages = page.getByRole('navigation', { name: 'Pages' })
    await pages.getByRole('link', { name: /^Last page/ }).click()
    await expect(page).toHaveURL(new RegExp(`page=${LAST_PAGE}$`))
    await expect(page.getByTestId('count')).toHaveText('Showing 9,985\u201310,000 of 10,000 products')
    await expect(page.locator('main li[data-product]')).toHaveCount(PRODUCTS % 24)
    const last = (await (await page.request.get(`${shop.url}/api/ecommerce/products?sort=price-low&limit=24&page=${LAST_PAGE}`)).json()) as { productId: string }[]
    await expect(page.locator('main li[data-product]').last()).toHaveAttribute('data-product', last.at(-1)?.productId ?? 'none')
    await expect(page.getByRole('heading', { level: 1 })).toBeFocused()
    await page.reload()
    await expect(page.locator('main li[data-product]')).toHaveCount(PRODUCTS % 24)
    await pages.getByRole('textbox', { name: 'Page' }).fill('200')
    await page.keyboard.press('Enter')
    await expect(page).toHaveURL(/page=200$/)
    await expect(page.getByTestId('count')).toContainText('Showing 4,777\u20134,800 of')
    await page.goBack()
    await expect(page).toHaveURL(new RegExp(`page=${LAST_PAGE}$`))
    await page.goto(`${shop.url}/?page=99999`)
    await page.getByRole('link', { name: 'Go to the last page' }).click()
    await expect(page).toHaveURL(new RegExp(`page=${LAST_PAGE}$`))
  })

  test('a long list holds few cards, scrolls to its end, and comes back to its place', async ({ page }) => {
    await page.goto(`${shop.url}/?sort=price-low&shown=2400`)
    await isLive(page)
    await expect(page.locator('main li[data-product]').first()).toBeVisible()
    await toEnd(page)
    await expect(page.locator('main li[data-product]').last()).toBeInViewport()
    expect(await page.evaluate(() => document.querySelectorAll('*').length)).toBeLessThan(MOST_NODES)
    await page.mouse.wheel(0, -30_000)
    const card = page.locator('main li[data-product]:visible').filter({ visible: true }).first()
    await expect(card).toBeVisible()
    const seen = await inSight(page)
    await page.locator(`li[data-product="${seen.id}"]`).getByRole('link').click()
    await expect(page).toHaveURL(/\/product\//)
    await page.goBack()
    await expect.poll(async () => Math.abs((await topOf(page, seen.id)) - seen.top)).toBeLessThanOrEqual(1)
    await page.reload()
    await expect.poll(async () => Math.abs((await topOf(page, seen.id)) - seen.top)).toBeLessThanOrEqual(1)
  })
})

async function toEnd(page: Page): Promise<void> {
  await expect
    .poll(async () => {
      await page.evaluate(() => scrollTo(0, document.documentElement.scrollHeight))
      return page.locator('[data-page="100"] li[data-product]').count()
    })
    .toBe(24)
}

/** A product in the middle of the window. */
async function inSight(page: Page): Promise<{ id: string; top: number }> {
  await page.waitForFunction(() => [...document.querySelectorAll('main li[data-product]')].some((card) => card.getBoundingClientRect().top > 100 && card.getBoundingClientRect().bottom < innerHeight))
  await page.evaluate(() => new Promise((steady) => setTimeout(steady, 300)))
  return page.evaluate(() => {
    const card = [...document.querySelectorAll<HTMLElement>('main li[data-product]')].find((element) => element.getBoundingClientRect().top > 100 && element.getBoundingClientRect().bottom < innerHeight)
    return { id: card?.dataset['product'] ?? '', top: card?.getBoundingClientRect().top ?? Number.NaN }
  })
}

async function topOf(page: Page, id: string): Promise<number> {
  return page.evaluate((product) => document.querySelector(`li[data-product="${product}"]`)?.getBoundingClientRect().top ?? Number.NaN, id)
}
