import { expect, test, type APIRequestContext, type Page } from '@playwright/test'

import { isClean } from './axe'

const admin = process.env['KARTSHOPPE_ADMIN_URL'] ?? ''

test.skip(admin === '', 'the operators’ listener is not known')

const HOSTILE = '<img src=x onerror="globalThis.struck=1"><script>globalThis.struck=1</script>'
/** Digits that a page which reads numbers would lose. */
const EXACT = '{"b":1.50,"a":9007199254740993,"n":1}'

async function append(request: APIRequestContext, topic: string, data: Record<string, unknown>): Promise<string> {
  const answer = await request.post(`${admin}/admin/topics/${topic}/records`, { headers: { 'x-kartshoppe-operator': 'e2e' }, data })
  expect(answer.ok(), await answer.text()).toBe(true)
  const { appended } = (await answer.json()) as { appended: { partition: number; offset: number }[] }
  return `${topic}/${appended[0]?.partition}/${appended[0]?.offset}`
}

function rows(page: Page) {
  return page.getByRole('group', { name: 'Records found' }).getByRole('row')
}

test('records of several topics are found, paged, opened and shared', async ({ page, request }) => {
  const said: string[] = []
  // The browser itself reports the predicate that is refused on purpose.
  page.on('console', (message) => message.text().startsWith('Failed to load resource') || said.push(message.text()))
  page.on('pageerror', (error) => said.push(String(error)))
  const place = await append(request, 'ecommerce_events', { partition: 0, key: HOSTILE, valueBase64: Buffer.from(EXACT).toString('base64'), headers: { 'kartshoppe-cause': 'products/0/0/0', hostile: HOSTILE } })
  await append(request, 'ecommerce_events', { partition: 0, value: HOSTILE })

  await page.goto(`${admin}/inspect`)
  for (const topic of ['products', 'inventory-events']) await page.getByRole('checkbox', { name: topic }).check()
  await page.getByLabel('Predicate').fill('.value.productId == "PROD_0001')
  await page.getByRole('button', { name: 'Search', exact: true }).click()
  await expect(page.getByRole('alert')).toContainText('character 21')
  await page.getByLabel('Predicate').fill('.value.productId == "PROD_0001"')
  await page.getByRole('button', { name: 'Search', exact: true }).click()
  await expect(page.getByText('Everything was searched.')).toBeVisible()
  await expect(rows(page).filter({ hasText: 'products/' })).not.toHaveCount(0)
  await expect(rows(page).filter({ hasText: 'inventory-events/' })).not.toHaveCount(0)
  await isClean(page, 'inspect')

  // The address holds the question; a page that is full goes on by its cursor.
  await page.goto(`${admin}/inspect?topics=products%2Cinventory-events`)
  await expect(page.getByText('A page is full.')).toBeVisible()
  await expect(rows(page)).toHaveCount(101)
  await page.getByRole('button', { name: 'Search on' }).click()
  await expect(rows(page)).toHaveCount(201)
  const places = await rows(page).getByRole('button').allTextContents()
  expect(new Set(places).size).toBe(200)

  await page.goto(`${admin}/inspect?topics=ecommerce_events&where=${encodeURIComponent('.value.n == 1 and .header.hostile contains "<"')}`)
  await rows(page).getByRole('button', { name: place }).click()
  const drawer = page.getByRole('dialog')
  await drawer.getByLabel('as written').check()
  await expect(drawer.getByRole('group', { name: 'Value', exact: true })).toHaveText(EXACT)
  await expect(drawer.getByText(HOSTILE).first()).toBeVisible()
  await expect(drawer.getByRole('link', { name: 'Copy to produce' })).toHaveAttribute('href', `/produce?from=${encodeURIComponent(place)}`)
  await isClean(page, 'drawer')
  await page.reload()
  await expect(drawer.getByText('as written')).toBeVisible()
  await page.keyboard.press('Escape')
  await expect(drawer).toBeHidden()

  await page.goto(`${admin}/r/${place}`)
  await expect(page.getByRole('heading', { level: 1 })).toHaveText(`Record ${place}`)
  await expect(page.getByText('9007199254740993')).toBeVisible()
  await isClean(page, 'one record')
  await page.getByRole('link', { name: 'Copy to produce' }).click()
  await expect(page.getByLabel('Value text')).toHaveValue(/9007199254740993/)
  await page.goBack()
  await page.getByRole('link', { name: 'Its cause' }).click()
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('Record products/0/0')
  expect(await page.evaluate(() => 'struck' in globalThis)).toBe(false)
  expect(said).toEqual([])
})

test('live records come, wait while paused, and are counted', async ({ page, request }) => {
  await page.goto(`${admin}/inspect?topics=shopping-cart-events&where=${encodeURIComponent('.value.live > 0')}`)
  await page.getByRole('button', { name: 'Follow live' }).click()
  const live = page.getByRole('region', { name: 'Live' })
  const first = page.waitForResponse((response) => response.url().includes('/admin/tail'))
  await page.reload()
  await first
  // Only what is written after the stream stands comes by it.
  await expect
    .poll(async () => {
      await append(request, 'shopping-cart-events', { value: { live: 1 } })
      return live.getByRole('row').count()
    })
    .toBeGreaterThan(1)
  await live.getByRole('button', { name: 'Pause' }).click()
  const before = await live.getByRole('row').count()
  const place = await append(request, 'shopping-cart-events', { value: { live: 2 } })
  await expect(live.getByTestId('tail-counts')).toContainText(/[1-9]\d* held back/)
  await expect(live.getByRole('button', { name: place })).toHaveCount(0)
  expect(await live.getByRole('row').count()).toBe(before)
  await isClean(page, 'live')
  await live.getByRole('button', { name: 'Resume' }).click()
  await expect(live.getByRole('button', { name: place })).toBeVisible()
  await expect(live.getByTestId('tail-counts')).toContainText('0 skipped')
  await live.getByRole('button', { name: 'Stop' }).click()
  await expect(live).toBeHidden()
})
