import { expect, test, type APIRequestContext, type Page } from '@playwright/test'

import { isClean } from './axe'

const admin = process.env['KARTSHOPPE_ADMIN_URL'] ?? ''
const shots = process.env['OPS_SHOTS'] ?? ''

test.beforeEach(() => test.skip(admin === '', 'KARTSHOPPE_ADMIN_URL is not set'))
// What moves for ever has no end that axe could wait for.
test.use({ contextOptions: { reducedMotion: 'reduce' } })

const PAGES: readonly (readonly [string, (page: Page) => Promise<void>])[] = [
  ['/flow', (page) => expect(page.getByRole('table').first()).toContainText('Committer')],
  ['/actors', (page) => expect(page.getByRole('link', { name: 'committer' })).toBeVisible()],
  ['/actors?top=restarts', (page) => expect(page.getByRole('heading', { name: 'Most restarts' })).toBeVisible()],
  ['/actors/committer', (page) => expect(page.getByText('Supervised by')).toBeVisible()],
  ['/actors/product/PROD_0001', (page) => expect(page.getByText('its shard read it').or(page.getByText('restarted lately'))).toBeVisible()],
  ['/wal', (page) => expect(page.getByText('Until it is given up')).toBeVisible()],
  ['/logs', (page) => expect(page.getByRole('row').nth(1)).toBeVisible()],
  ['/config', (page) => expect(page.getByRole('table')).toContainText('admin.listen')],
  ['/trouble', (page) => expect(page.getByText('No actor keeps failing.')).toBeVisible()],
  ['/orders', (page) => expect(page.getByRole('row').nth(1)).toBeVisible()],
  ['/products/PROD_0001', (page) => expect(page.getByTestId('state')).toBeVisible()],
  ['/inspect?topics=inventory-events%2Cproducts', (page) => expect(page.getByRole('row').nth(1)).toBeVisible()],
  ['/inspect?topics=inventory-events&live=1', (page) => expect(page.getByTestId('tail-counts')).toBeVisible()],
  ['/r/inventory-events/0/0', (page) => expect(page.getByText('Appended')).toBeVisible()],
]

/** An order for lists and its own page. */
async function anOrder(request: APIRequestContext): Promise<string> {
  const sessionId = `ops-clean-${Date.now()}`
  await request.post(`/api/ecommerce/cart/${sessionId}/add`, { data: { productId: 'PROD_0146', userId: 'guest', quantity: 1 } })
  return ((await (await request.post('/api/ecommerce/checkout', { data: { sessionId, userId: 'guest', useCdc: false } })).json()) as { orderId: string }).orderId
}

for (const colorScheme of ['light', 'dark'] as const) {
  for (const width of [1280, 390]) {
    test(`every page of the console is clean, ${colorScheme}, ${width} px wide`, async ({ browser, request }) => {
      test.setTimeout(180_000)
      const orderId = await anOrder(request)
      const context = await browser.newContext({ colorScheme, viewport: { width, height: 860 }, reducedMotion: 'reduce' })
      const page = await context.newPage()
      const complaints: string[] = []
      page.on('console', (message) => void (['error', 'warning'].includes(message.type()) && complaints.push(message.text())))
      page.on('pageerror', (error) => complaints.push(String(error)))
      const itsPage = [`/orders/${orderId}`, (there: Page) => expect(there.locator('[data-stop="settled"][data-reached="true"]')).toBeVisible()] as const
      for (const [path, isThere] of [...PAGES, itsPage]) {
        await page.goto(`${admin}${path}`)
        await isThere(page)
        if (shots !== '') await page.screenshot({ path: `${shots}/${path.replaceAll(/\W+/g, '-').slice(1)}-${colorScheme}-${width}.png`, fullPage: true })
        await isClean(page, path)
        expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth), `${path}: no sideways scrolling`).toBeLessThanOrEqual(0)
      }
      expect(complaints).toEqual([])
      await context.close()
    })
  }
}

const operate = (request: APIRequestContext, path: string) => request.post(`${admin}${path}`, { headers: { 'x-kartshoppe-operator': 'e2e' } })

test('a stopped part is seen in the flow at once, and so is that it runs again', async ({ page, request }) => {
  await page.goto(`${admin}/flow`)
  const picture = page.getByRole('group', { name: 'The way of a purchase, as a picture' })
  const shards = picture.getByRole('link', { name: /^Shards, products, / })
  await expect(shards).toHaveAccessibleName(/running/)
  try {
    expect((await operate(request, '/admin/roles/inventory/stop')).ok()).toBe(true)
    await expect(shards).toHaveAccessibleName(/stopped/)
    const said = page.getByRole('main').getByRole('status').first()
    await expect(said).toContainText('Committer is stopped')
    await expect(said).toContainText('The role inventory is stopped on purpose by e2e')
    await expect(said).not.toContainText('runs')
  } finally {
    expect((await operate(request, '/admin/roles/inventory/start')).ok()).toBe(true)
  }
  await expect(shards).toHaveAccessibleName(/running/)
  await shards.focus()
  await page.keyboard.press('Enter')
  await expect(page).toHaveURL(/\/actors\?kind=shard$/)
  await expect(page.getByRole('link', { name: 'shard/0' })).toBeVisible()
})

test('an actor is restarted after a question; its button rests until the next incarnation runs', async ({ page }) => {
  await page.goto(`${admin}/actors`)
  await page.getByRole('link', { name: 'alert-desk' }).click()
  await page.getByRole('button', { name: 'Restart' }).click()
  const question = page.getByRole('dialog', { name: 'Restart alert-desk?' })
  await expect(question).toContainText('counts as no failure')
  await question.getByRole('button', { name: 'Restart' }).click()
  await expect(page.getByRole('status').filter({ hasText: 'gave way to' })).toBeVisible()
  await expect(page.getByRole('button', { name: 'Restart' })).toBeEnabled()
  await expect(page.getByRole('table')).toContainText('restarted')
})

test('an actor is broken where faults are enabled, and comes back with the cause', async ({ page }) => {
  await page.goto(`${admin}/actors/alert-desk`)
  await page.getByLabel('How to break it').selectOption('kill')
  await page.getByRole('button', { name: 'Break' }).click()
  await expect(page.getByText('Struck.')).toBeVisible()
  await expect(page.getByRole('table')).toContainText('killed')
})

test('a product that is killed is seen, though it is back in a moment', async ({ page, request }) => {
  const kill = () => request.post(`${admin}/admin/faults`, { headers: { 'x-kartshoppe-operator': 'e2e' }, data: { target: 'product/PROD_0145', fault: 'kill', count: 1, ttl: '30s' } })
  for (const path of ['/flow', '/']) {
    await page.goto(`${admin}${path}`)
    const ends = page.getByTestId('ends')
    await expect(ends).toBeAttached()
    // An actor that is passive has nothing to kill: an order wakes it.
    const sessionId = `ops-kill-${path.length}`
    expect((await kill()).ok()).toBe(true)
    await request.post(`/api/ecommerce/cart/${sessionId}/add`, { data: { productId: 'PROD_0145', userId: 'guest', quantity: 1 } })
    await request.post('/api/ecommerce/checkout', { data: { sessionId, userId: 'guest', useCdc: false } })
    await expect(ends.getByRole('listitem').filter({ hasText: 'product/PROD_0145' }).first()).toContainText('killed')
  }
})

test('the log goes on by itself, narrowed by the address', async ({ page, request }) => {
  await page.goto(`${admin}/logs?text=an+operator+asked`)
  await operate(request, '/admin/actors/alert-desk/restart')
  await expect(page.getByRole('table')).toContainText('/admin/actors/alert-desk/restart')
  await page.getByRole('button', { name: 'Pause' }).click()
  await expect(page.getByText('paused')).toBeVisible()
})
