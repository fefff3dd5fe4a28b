import { expect, test, type Page } from '@playwright/test'

import { isClean } from './axe'
import { overflow } from './shop'

const admin = process.env['KARTSHOPPE_ADMIN_URL'] ?? ''

test.beforeEach(() => test.skip(admin === '', 'KARTSHOPPE_ADMIN_URL is not set'))

/** What the browser says about a page on its console; nothing is what it should be. */
function complaintsOf(page: Page): string[] {
  const complaints: string[] = []
  page.on('console', (message) => void (['error', 'warning'].includes(message.type()) && complaints.push(message.text())))
  page.on('pageerror', (error) => complaints.push(String(error)))
  return complaints
}

/** Words in tables and on buttons that stand on two lines. */
const brokenWords = (page: Page): Promise<string[]> =>
  page.locator('.tbl :is(th, td), main button').evaluateAll((places) =>
    places.flatMap((place) => {
      const broken: string[] = []
      const texts = document.createTreeWalker(place, NodeFilter.SHOW_TEXT)
      for (let text = texts.nextNode(); text; text = texts.nextNode()) {
        for (const word of (text.textContent ?? '').matchAll(/\p{L}+/gu)) {
          const range = document.createRange()
          range.setStart(text, word.index)
          range.setEnd(text, word.index + word[0].length)
          if (new Set([...range.getClientRects()].map(({ top }) => Math.round(top))).size > 1) broken.push(word[0])
        }
      }
      return broken
    }),
  )

/** A frame page with something on it that only appears once its answer is there. */
const PAGES: readonly (readonly [string, (page: Page) => Promise<void>])[] = [
  ['/', (page) => expect(page.locator('[data-role="inventory"]')).toContainText('running')],
  ['/topics?open=order-events', (page) => expect(page.getByRole('table', { name: 'Partitions' })).toBeVisible()],
  ['/produce?topic=products&key=A&as=none', (page) => expect(page.getByText('Only the shop writes products.').first()).toBeVisible()],
  ['/nowhere', (page) => expect(page.getByRole('heading', { level: 1 })).toHaveText('There is no such page')],
]

for (const colorScheme of ['light', 'dark'] as const) {
  for (const width of [1280, 390]) {
    test(`the console's pages are clean, ${colorScheme}, ${width} px wide`, async ({ browser }) => {
      const context = await browser.newContext({ colorScheme, viewport: { width, height: 860 } })
      const page = await context.newPage()
      for (const [path, isThere] of PAGES) {
        const complaints = complaintsOf(page)
        await page.goto(`${admin}${path}`)
        await isThere(page)
        await isClean(page, path)
        expect(await overflow(page), `${path}: no sideways scrolling`).toBeLessThanOrEqual(0)
        expect(await brokenWords(page), `${path}: no word is broken`).toEqual([])
        expect(complaints.filter((text) => path !== '/nowhere' || !text.includes('404')), path).toEqual([])
      }
      if (width < 1024) {
        await page.getByRole('button', { name: 'Menu' }).click()
        await isClean(page, 'menu')
      }
      await context.close()
    })
  }
}

test('a role is stopped after a question and started again; its button follows the state', async ({ page }) => {
  await page.goto(`${admin}/`)
  const cdc = page.locator('[data-role="cdc"]')
  await cdc.getByRole('button', { name: 'Stop cdc' }).click()
  const question = page.getByRole('dialog', { name: 'Stop the role cdc?' })
  await expect(question).toContainText('write-ahead log')
  await page.keyboard.press('Escape')
  await expect(question).toBeHidden()
  await cdc.getByRole('button', { name: 'Stop cdc' }).click()
  await question.getByRole('button', { name: 'Stop cdc' }).click()
  await expect(cdc).toContainText('stopped')
  await expect(page.getByRole('status').filter({ hasText: 'cdc is stopped' })).toBeAttached()
  await cdc.getByRole('button', { name: 'Start cdc' }).click()
  await expect(cdc).toContainText('running')
  await expect(cdc.getByRole('button', { name: 'Stop cdc' })).toBeEnabled()
})

test('a product is restocked by a record without a key, and its event is shown', async ({ page, request }) => {
  const stock = async () => ((await (await request.get('/api/ecommerce/product/PROD_0141')).json()) as { inventory: number }).inventory
  const wanted = (await stock()) + 7
  await page.goto(`${admin}/`)
  await page.getByRole('navigation', { name: 'Console' }).getByRole('link', { name: 'Produce' }).click()
  await page.getByLabel('Product', { exact: true }).fill('PROD_0141')
  await page.getByLabel('New stock').fill(String(wanted))
  await page.getByRole('button', { name: 'Fill the form' }).click()
  await expect(page.getByLabel('Value text')).toHaveValue(new RegExp(`"inventory": ${wanted}`))
  await page.getByRole('button', { name: 'Write the record' }).click()
  const outcome = page.getByTestId('outcome')
  await expect(outcome.getByRole('link', { name: /^product-updates\/\d+\/\d+$/ })).toHaveAttribute('href', /^\/r\/product-updates\/\d+\/\d+$/)
  await expect(outcome.getByRole('link', { name: /^inventory-events\/\d+\/\d+$/ })).toBeVisible()
  await expect(outcome).toContainText(`${wanted}`)
  await expect.poll(stock).toBe(wanted)
  await page.reload()
  await expect(page.getByLabel('Value text'), 'the address holds the record').toHaveValue(new RegExp(`"inventory": ${wanted}`))
})

test('a record is copied as it is, and a foreign one is refused until it is wanted', async ({ page, request }) => {
  const answer = await request.post(`${admin}/admin/topics/ecommerce_events/records`, { headers: { 'x-kartshoppe-operator': 'e2e' }, data: { key: 'K', headers: { mine: 'x' }, valueBase64: Buffer.from('{"big":12345678901234567890}').toString('base64') } })
  const { appended } = (await answer.json()) as { appended: [{ partition: number; offset: number }] }
  const [{ partition, offset }] = appended
  await page.goto(`${admin}/produce?from=ecommerce_events/${partition}/${offset}`)
  await expect(page.getByLabel('Key text')).toHaveValue('K')
  await expect(page.getByLabel('Name of header 1')).toHaveValue('mine')
  const copied = await page.getByLabel('Value text').inputValue()
  expect(copied, 'a key is copied beside its value').toContain('"big"')
  await page.getByRole('button', { name: 'Write the record' }).click()
  await expect(page.getByTestId('outcome').getByRole('link', { name: /^ecommerce_events/ })).toBeVisible()

  await page.goto(`${admin}/produce?topic=products&key=NOBODY&as=none`)
  const write = page.getByRole('button', { name: 'Write the record' })
  await expect(write).toBeDisabled()
  await page.getByLabel('Write a foreign record all the same').check()
  await expect(write).toBeEnabled()
  const refused = await request.post(`${admin}/admin/topics/products/records?foreign=false`, { headers: { 'x-kartshoppe-operator': 'e2e' }, data: { key: 'NOBODY', value: null } })
  expect([refused.status(), ((await refused.json()) as { code: string }).code], 'the server refuses it, asked as the page asks before the tick').toEqual([409, 'owned_topic'])
  await page.locator('label').filter({ hasText: /^None$/ }).click()
  await expect(page.getByText('A tombstone needs the key that it removes.').first()).toBeVisible()
  await expect(write).toBeDisabled()
})

/** Kilobytes of these scripts. */
function sum(list: readonly (readonly [string, number])[]): number {
  return list.reduce((total, [, bytes]) => total + bytes, 0) / 1_024
}

test('the console loads little: what it begins with, and each page', async ({ page }) => {
  const scripts = () => page.evaluate(() => (performance.getEntriesByType('resource') as PerformanceResourceTiming[]).filter(({ name }) => name.endsWith('.js')).map(({ name, encodedBodySize }) => [name, encodedBodySize] as const))
  await page.goto(`${admin}/`)
  await expect(page.locator('[data-role="cdc"]')).toBeVisible()
  const first = await scripts()
  process.stdout.write(`console: ${sum(first).toFixed(1)} KB of scripts at first\n`)
  expect(sum(first)).toBeLessThanOrEqual(110)
  const known = new Set(first.map(([name]) => name))
  const links = page.getByRole('navigation', { name: 'Console' }).getByRole('link')
  for (let nth = 0; nth < (await links.count()); nth++) {
    const name = (await links.nth(nth).textContent()) ?? ''
    if (!(await links.nth(nth).getAttribute('href'))?.match(/^\/[a-z-]+$/) || name === 'API') continue
    await links.nth(nth).click()
    await expect(page.locator('main [aria-busy="true"]')).toHaveCount(0)
    await expect(page.getByRole('heading', { level: 1 })).toBeVisible()
    const more = (await scripts()).filter(([script]) => !known.has(script))
    more.forEach(([script]) => known.add(script))
    expect(sum(more), name).toBeLessThanOrEqual(25)
  }
})
