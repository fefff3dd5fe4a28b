import { AxeBuilder } from '@axe-core/playwright'
import { expect, test, type APIRequestContext, type Page } from '@playwright/test'

import type { Front, Product } from '../src/wire'
import { offer, withdraw } from './hostile'
import { addToCart, cardOf, isLive, someProduct } from './shop'

const admin = process.env['KARTSHOPPE_ADMIN_URL'] ?? ''

async function frontOf(request: APIRequestContext): Promise<Front> {
  return (await (await request.get('/api/ecommerce/front')).json()) as Front
}

/** Records what stands in "Moving right now" each time any of it changes, and when. */
async function watchMoves(page: Page): Promise<() => Promise<number[]>> {
  await page.evaluate(() => {
    const list = document.querySelector('[data-testid=ticker] ul')
    const textOf = () => [...(list?.querySelectorAll('[data-move] p:first-child') ?? [])].map((part) => part.textContent).join('|')
    const changes: number[] = []
    let text = textOf()
    if (list) {
      new MutationObserver(() => {
        if (textOf() !== text) changes.push(performance.now())
        text = textOf()
      }).observe(list, { subtree: true, childList: true, characterData: true })
    }
    Object.assign(globalThis, { changes })
  })
  return () => page.evaluate(() => (globalThis as unknown as { changes: number[] }).changes)
}

const thing = (nth: number, inventory: number, price = 10) => ({ productId: `FRONT_${nth}`, name: `Moving Thing ${nth}`, price, inventory, category: 'Odd front' })
const THINGS = Array.from({ length: 12 }, (_, nth) => thing(nth, 500))

test.describe('what moves', () => {
  test.skip(admin === '', 'KARTSHOPPE_ADMIN_URL is not set')
  test.beforeEach(({ request }) => offer(request, THINGS))
  test.afterEach(({ request }) => withdraw(request, THINGS))

  test('changes in one place in two seconds at most, can be read, and can be stopped', async ({ page, request }) => {
    await page.goto('/')
    await isLive(page)
    const ticker = page.getByTestId('ticker')
    const changes = await watchMoves(page)
    const storming = new AbortController()
    const storm = (async () => {
      for (let turn = 1; !storming.signal.aborted; turn++) await offer(request, THINGS.map((_, nth) => thing(nth, 500 - (turn % 400))).filter((_, nth) => nth % 4 === turn % 4))
    })()
    await expect(ticker.locator('[data-move^=FRONT_]').first()).toBeVisible()
    await expect.poll(async () => (await changes()).length).toBeGreaterThanOrEqual(3)
    const times = await changes()
    // Timers of a busy machine drift; what matters is that the storm's rhythm is not the page's.
    for (let nth = 1; nth < times.length; nth++) expect((times[nth] ?? 0) - (times[nth - 1] ?? 0)).toBeGreaterThan(1_500)
    expect(await ticker.locator('[data-move] > div').evaluateAll((tiles) => tiles.every((tile) => tile.getAnimations().length <= 1))).toBe(true)

    await ticker.getByRole('button', { name: 'Pause' }).click()
    const before = (await changes()).length
    await page.waitForTimeout(4_500)
    expect((await changes()).length, 'paused').toBe(before)
    await ticker.getByRole('button', { name: 'Resume' }).click()
    await expect.poll(async () => (await changes()).length).toBeGreaterThan(before)

    await ticker.locator('[data-move] a').first().focus()
    const held = (await changes()).length
    await page.waitForTimeout(4_500)
    expect((await changes()).length, 'what has the focus stays').toBe(held)
    storming.abort()
    await storm
  })

  test('a price before a drop survives a reload, on the shelf and on the front page', async ({ page, request }) => {
    await offer(request, [thing(1, 500, 4)])
    await page.goto('/?category=Odd+front')
    const label = cardOf(page, 'FRONT_1').getByTestId('price')
    for (let loads = 0; loads < 2; loads++) {
      await expect(label).toContainText('$10.00')
      await expect(label).toContainText('$4.00')
      await expect(label).toContainText('−60%')
      await page.reload()
    }
    await page.goto('/')
    await expect(page.getByRole('region', { name: 'Price drops' }).locator('[data-tile=FRONT_1]')).toContainText('$4.00')
  })
})

test.describe('a price that falls', () => {
  test.skip(admin === '', 'KARTSHOPPE_ADMIN_URL is not set')
  test.afterEach(({ request }) => withdraw(request, THINGS))

  for (const width of [320, 390, 1366]) {
    test(`moves nothing below it, ${width} px wide`, async ({ page, request }) => {
      await offer(request, THINGS.map((_, nth) => thing(nth, 500, 1_899.99)))
      await page.setViewportSize({ width, height: 800 })
      await page.goto('/?category=Odd+front')
      await isLive(page)
      const name = cardOf(page, 'FRONT_0').getByRole('heading')
      const top = (await name.boundingBox())?.y
      await offer(request, [thing(0, 500, 999.99)])
      await expect(cardOf(page, 'FRONT_0').getByTestId('price')).toContainText('$1,899.99')
      expect((await name.boundingBox())?.y).toBe(top)
      expect(await page.evaluate(() => [...document.querySelectorAll('[data-testid=price]')].every((label) => label.scrollWidth <= label.clientWidth))).toBe(true)
    })
  }

  for (const width of [320, 390, 1366]) {
    test(`can be read beside the price before, however far apart they are, ${width} px wide`, async ({ page, request }) => {
      await page.setViewportSize({ width, height: 800 })
      for (const [before, now] of [[9_999_999.99, 1.5], [99_999_999.99, 88_888_888.88], [1_899.99, 999.99], [9.99, 8.99]] as const) {
        await offer(request, [thing(0, 500, before)])
        await page.goto('/?category=Odd+front')
        await isLive(page)
        const label = cardOf(page, 'FRONT_0').getByTestId('price')
        await offer(request, [thing(0, 500, now)])
        await expect(label.locator('s')).toHaveText(before.toLocaleString('en-US', { style: 'currency', currency: 'USD' }))
        expect(await label.evaluate((element) => [element, ...element.querySelectorAll(':not(.sr-only)')].every((part) => Number.parseFloat(getComputedStyle(part).fontSize) >= 12)), `${before}`).toBe(true)
        expect(await label.evaluate((element) => [element.scrollWidth - element.clientWidth, element.scrollHeight - element.clientHeight]), `${before}`).toEqual([0, 0])
        expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)).toBeLessThanOrEqual(0)
      }
    })
  }

  test('from the millions can be read on a card and on its page, 320 px wide, and moves nothing', async ({ page, request }) => {
    await offer(request, [thing(0, 500, 9_999_999.99)])
    await page.setViewportSize({ width: 320, height: 640 })
    for (const [path, below] of [
      ['/?category=Odd+front', 'heading'],
      ['/product/FRONT_0', 'button'],
    ] as const) {
      await offer(request, [thing(0, 500, 9_999_999.99)])
      await page.goto(path)
      await isLive(page)
      const label = page.getByRole('main').getByTestId('price').first()
      await expect(label).not.toContainText('Was')
      const next = page.getByRole('main').getByRole(below, { name: below === 'button' ? 'Add to cart' : thing(0, 1).name }).first()
      const top = (await next.boundingBox())?.y
      await offer(request, [thing(0, 500, 8_888_888.88)])
      await expect(label).toContainText('$9,999,999.99')
      expect((await next.boundingBox())?.y, path).toBe(top)
      expect(await label.evaluate((element) => [element.scrollWidth - element.clientWidth, Number.parseFloat(getComputedStyle(element).fontSize) >= 12]), path).toEqual([0, true])
      expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth), path).toBeLessThanOrEqual(0)
    }
  })
})

test.describe('a strip above the shelves', () => {
  test.skip(admin === '', 'KARTSHOPPE_ADMIN_URL is not set')
  test.afterEach(({ request }) => withdraw(request, THINGS))

  for (const width of [390, 1366]) {
    test(`moves nothing, whatever comes into it or changes in it, ${width} px wide`, async ({ page, request }) => {
      await offer(request, [thing(0, 3, 99_999.99)])
      await page.setViewportSize({ width, height: 844 })
      const pushed: ((frame: string) => void)[] = []
      await page.routeWebSocket(/\/ecommerce\/session-/, (socket) => {
        socket.connectToServer()
        pushed.push((frame) => socket.send(frame))
      })
      await page.goto('/')
      await isLive(page)
      await expect(page.locator('main li[data-product]').first()).toBeVisible()
      const top = async () => (await page.getByRole('heading', { name: 'On the shelves now' }).boundingBox())?.y
      const before = await top()
      const strips = await page.getByRole('region').count()
      pushed.at(-1)?.(JSON.stringify({ uuid: 'e2e', timestamp: 0, key: null, toUserId: null, eventType: 'RECOMMENDATION', payload: { recommendationId: 'best-sellers', productIds: ['FRONT_0'] } }))
      const tile = page.getByRole('region', { name: 'Best sellers' }).locator('[data-tile=FRONT_0]')
      await expect(tile).toContainText('Only 3 left')
      expect(await top(), 'it takes the place of another').toBe(before)
      expect(await page.getByRole('region').count()).toBe(strips)
      await offer(request, [thing(0, 0, 99_999.99)])
      await expect(tile).toContainText('Sold out')
      await offer(request, [thing(0, 1_000_000, 88_888.88)])
      await expect(tile).toContainText('Back in stock: 1,000,000')
      await expect(tile).toContainText('$99,999.99')
      expect(await top(), 'a new price and new stock').toBe(before)
      expect(await tile.getByTestId('price').evaluate((price) => price.scrollWidth - price.clientWidth), 'both prices fit').toBeLessThanOrEqual(0)
    })
  }
})

test.describe('the front page', () => {
  test.skip(admin === '', 'KARTSHOPPE_ADMIN_URL is not set')
  const first = { productId: 'A', name: 'Aardvark', price: 1, inventory: 9_999, category: 'A first' }
  test.afterEach(({ request }) => withdraw(request, [first]))

  test('is not led by the product whose id comes first', async ({ page, request }) => {
    await offer(request, [first])
    await page.goto('/')
    await expect(page.locator('main li[data-product]')).toHaveCount(24)
    const ids = await page.locator('main li[data-product]').evaluateAll((cards) => cards.slice(0, 4).map((card) => card.getAttribute('data-product')))
    expect(ids).not.toContain('A')
  })
})

test('the front page shows what the shop says, and its shelves mix the categories', async ({ page, request }) => {
  await page.goto('/')
  await isLive(page)
  const front = await frontOf(request)
  for (const [name, products] of [
    ['Almost gone', front.almostGone],
    ['Trending', front.trending],
    ['Price drops', front.drops],
  ] as [string, Product[]][]) {
    const strip = page.getByRole('region', { name })
    if (products.length === 0) await expect(strip).toHaveCount(0)
    else await expect(strip.locator('[data-tile]')).toHaveCount(Math.min(4, products.length))
  }
  const ids = await page.locator('main li[data-product]').evaluateAll((cards) => cards.slice(0, 8).map((card) => card.getAttribute('data-product')))
  const categories = await Promise.all(ids.map(async (id) => ((await (await request.get(`/api/ecommerce/product/${id}`)).json()) as Product).category))
  expect(new Set(categories).size).toBeGreaterThanOrEqual(6)
})

test('on a phone: one row of header, one button with all filters, products within the first screen', async ({ browser, request }) => {
  const product = await someProduct(request, 17)
  const context = await browser.newContext({ viewport: { width: 320, height: 640 }, hasTouch: true })
  const page = await context.newPage()
  await addToCart(page, product.productId, 1)
  await page.goto('/?category=Books')
  await isLive(page)
  const header = page.getByRole('banner')
  expect((await header.boundingBox())?.height).toBeLessThanOrEqual(72)
  await expect(page.locator('main li[data-product]').first()).toBeVisible()
  expect((await page.locator('main li[data-product]').first().boundingBox())?.y).toBeLessThan(320)
  await page.mouse.wheel(0, 2_000)
  await expect.poll(() => page.evaluate(() => scrollY)).toBeGreaterThan(500)
  expect((await header.boundingBox())?.y).toBe(0)

  await page.getByRole('button', { name: 'Filter', exact: true }).click()
  const dialog = page.getByRole('dialog', { name: 'Filter' })
  await dialog.getByRole('combobox', { name: 'Sort by' }).selectOption({ label: 'Price: high to low' })
  await dialog.getByRole('checkbox', { name: 'In stock only' }).check()
  await dialog.getByRole('textbox', { name: 'Highest price' }).fill('40')
  await dialog.getByRole('checkbox').nth(1).check()
  await expect(page).toHaveURL(/sort=price-high.*inStock=true.*brand=.*maxPrice=40/)
  const { violations } = await new AxeBuilder({ page }).analyze()
  expect(violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(' | ')}`)).toEqual([])
  await dialog.getByRole('button', { name: /^Show \d+ products?$/ }).click()
  await expect(dialog).toBeHidden()
  await expect(page.getByRole('button', { name: /^Filter/ })).toBeFocused()
  expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(320)
  await context.close()
})

test('the note about the connection is a live region and moves nothing', async ({ page, context }) => {
  await page.goto('/')
  await isLive(page)
  const banner = page.getByTestId('banner')
  await expect(banner).toHaveAttribute('aria-live', 'polite')
  const heading = page.getByRole('heading', { level: 1 })
  const top = (await heading.boundingBox())?.y
  await page.evaluate(() => {
    const moved = { by: 0 }
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) moved.by += (entry as unknown as { value: number }).value
    }).observe({ type: 'layout-shift' })
    Object.assign(globalThis, { moved })
  })
  await context.setOffline(true)
  await expect(banner).toContainText('Offline')
  expect((await heading.boundingBox())?.y).toBe(top)
  await context.setOffline(false)
  await isLive(page)
  await expect(banner).toHaveText('')
  expect(await page.evaluate(() => (globalThis as unknown as { moved: { by: number } }).moved.by)).toBe(0)
})

for (const colorScheme of ['light', 'dark'] as const) {
  test(`axe finds nothing on the list with filters, ${colorScheme}, and borders of controls can be seen`, async ({ browser }) => {
    const context = await browser.newContext({ colorScheme, viewport: { width: 1366, height: 768 } })
    const page = await context.newPage()
    await page.goto('/?category=Books&maxPrice=100')
    await isLive(page)
    await expect(page.getByRole('complementary', { name: 'Filters' }).getByRole('checkbox').first()).toBeVisible()
    const { violations } = await new AxeBuilder({ page }).analyze()
    expect(violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(' | ')}`)).toEqual([])
    for (const control of [page.getByRole('searchbox'), page.getByRole('combobox', { name: 'Sort by' }), page.getByRole('textbox', { name: 'Highest price' })]) {
      expect(await control.evaluate(contrastOfBorder)).toBeGreaterThanOrEqual(3)
    }
    await context.close()
  })
}

/** WCAG's contrast between an element's border and the page. It runs in the page, so it needs all its parts within. */
function contrastOfBorder(element: Element): number {
  const [one = 0, other = 0] = [getComputedStyle(element).borderTopColor, getComputedStyle(document.documentElement).backgroundColor].map((colour) => {
    const pen = document.createElement('canvas').getContext('2d')
    if (!pen) return 0
    pen.fillStyle = colour
    pen.fillRect(0, 0, 1, 1)
    const [red = 0, green = 0, blue = 0] = [...pen.getImageData(0, 0, 1, 1).data].map((part) => (part / 255 <= 0.040_45 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
  })
  return (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05)
}
