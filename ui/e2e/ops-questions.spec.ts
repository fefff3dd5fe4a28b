import { expect, test, type APIRequestContext, type Page } from '@playwright/test'

import { canRunShop } from './largeShop'
import { ownServer, type OwnServer } from './ownServer'

/** Each page, with something on it that only appears once its answer is there. */
const PAGES: readonly (readonly [string, string])[] = [
  ['/', '[data-role="inventory"]'],
  ['/flow', 'main table'],
  ['/actors', 'main tbody tr'],
  ['/actors/committer', 'main dd'],
  ['/actors/product/PROD_0001', 'main dd'],
  ['/trouble', 'main section'],
  ['/topics', '[data-topic="products"]'],
  ['/inspect?topics=products&live=1', 'main tbody tr'],
  ['/r/products/0/0', 'main dt'],
  ['/produce?topic=product-updates&value=%7B%7D', 'main form'],
  ['/orders', 'main tbody tr'],
  ['/products/PROD_0001', '[data-testid="state"]'],
  ['/wal', 'main tbody tr, main dd'],
  ['/logs', 'main tbody tr'],
  ['/config', 'main tbody tr'],
]

const AWAY = /net::ERR_(CONNECTION|INCOMPLETE_CHUNKED|EMPTY_RESPONSE|NETWORK)|status of 503/

/** What a page says was wrong; that its server was away is the test's own doing. */
function complaintsOf(page: Page): string[] {
  const complaints: string[] = []
  page.on('console', (message) => void (message.type() === 'error' && !AWAY.test(message.text()) && complaints.push(message.text())))
  page.on('pageerror', (error) => complaints.push(String(error)))
  return complaints
}

async function buy(request: APIRequestContext, { url }: OwnServer, productId: string, quantity: number, useCdc: boolean): Promise<string> {
  const sessionId = `question-${productId}-${quantity}`
  const added = await request.post(`${url}/api/ecommerce/cart/${sessionId}/add`, { data: { productId, userId: 'guest', quantity } })
  expect(added.ok(), await added.text()).toBe(true)
  return ((await (await request.post(`${url}/api/ecommerce/checkout`, { data: { sessionId, userId: 'guest', useCdc } })).json()) as { orderId: string }).orderId
}

const stockOf = async (request: APIRequestContext, { url }: OwnServer) => ((await (await request.get(`${url}/api/ecommerce/product/PROD_0001`)).json()) as { inventory: number }).inventory

test('the three questions are answered, and each page outlives its server', async ({ browser, request }) => {
  test.skip(!canRunShop, 'no binary to start a server of its own from')
  test.setTimeout(600_000)
  const server = await ownServer({})
  const context = await browser.newContext({ reducedMotion: 'reduce' })
  try {
    await server.start()
    await expect.poll(() => stockOf(request, server)).toBe(17)
    const page = await context.newPage()
    const complaints = complaintsOf(page)
    await test.step('why did PROD_0001 fall at that moment?', async () => {
      const orderId = await buy(request, server, 'PROD_0001', 3, false)
      await expect.poll(() => stockOf(request, server)).toBe(14)
      await page.goto(`${server.admin}/actors`)
      await page.getByLabel('Product id').fill('PROD_0001')
      await page.getByRole('button', { name: 'Open product' }).click()
      await page.getByRole('link', { name: 'its history' }).click()
      const fall = page.getByRole('group', { name: 'Changes' }).getByRole('row').filter({ hasText: '17 → 14' })
      const moment = await fall.locator('td').first().getAttribute('title')
      await page.getByLabel('Moment').fill(moment ?? '')
      await page.keyboard.press('Enter')
      await expect(page.getByTestId('state')).toContainText('14 in stock')
      await expect(page.getByTestId('why')).toContainText(`(3 of 3)`)
      // The moment before, as a person writes a time; and what came next.
      await page.getByLabel('Moment').fill('00:00')
      await page.keyboard.press('Enter')
      await expect(page).toHaveURL(/at=\d+/)
      await page.goto(`${server.admin}/products/PROD_0001?at=${Date.parse(moment ?? '') - 1}`)
      await expect(page.getByTestId('state')).toContainText('17 in stock')
      await page.getByRole('button', { name: /^Next change/ }).click()
      await expect(page.getByTestId('state')).toContainText('14 in stock')
      await page.getByTestId('why').getByRole('link', { name: orderId }).click()
      await expect(page.locator('[data-stop="settled"][data-reached="true"]')).toBeVisible()
    })
    await test.step('which order is stuck and where?', async () => {
      await page.goto(`${server.admin}/`)
      await page.getByRole('button', { name: 'Stop cdc' }).click()
      await page.getByRole('dialog').getByRole('button', { name: 'Stop cdc' }).click()
      await expect(page.locator('[data-role="cdc"]')).toContainText('stopped')
      const orderId = await buy(request, server, 'PROD_0001', 1, true)
      await page.getByRole('navigation', { name: 'Console' }).getByRole('link', { name: 'Orders' }).click()
      await page.getByLabel('Status').selectOption('pending')
      await page.getByRole('button', { name: 'Find' }).click()
      await page.getByRole('link', { name: orderId }).click()
      await expect(page.getByTestId('waits')).toContainText('the WAL reader has not published it')
      await page.goto(`${server.admin}/`)
      await page.getByRole('button', { name: 'Start cdc' }).click()
      await page.goto(`${server.admin}/orders/${orderId}`)
      await expect(page.locator('[data-stop="settled"][data-reached="true"]')).toBeVisible({ timeout: 40_000 })
    })
    await test.step('restock PROD_0001 to 10 with a record without a key', async () => {
      await page.goto(`${server.admin}/produce`)
      await page.getByRole('button', { name: 'Fill the form' }).click()
      await expect(page.getByLabel('Value text')).toHaveValue(/"inventory": 10,/)
      await expect(page.getByLabel('Key text'), 'no key').toHaveCount(0)
      await page.getByRole('button', { name: 'Write the record' }).click()
      const event = page.getByTestId('outcome').getByRole('link', { name: /^inventory-events\// })
      await expect(event).toBeVisible()
      await expect.poll(() => stockOf(request, server)).toBe(10)
      await event.click()
      await expect(page.getByRole('main')).toContainText('"currentInventory"')
    })
    await page.close()
    expect(complaints).toEqual([])

    await test.step('the server is killed and restarted under each page', async () => {
      const open = []
      for (const [path, there] of PAGES) {
        const tab = await context.newPage()
        const wrong = complaintsOf(tab)
        await tab.goto(`${server.admin}${path}`)
        await expect(tab.locator(there).first(), path).toBeVisible()
        open.push({ tab, path, there, wrong })
      }
      await server.kill()
      for (const { tab, path, there } of open) {
        await tab.bringToFront()
        await expect(tab.getByRole('status', { name: 'Connection' }), path).toContainText('The server has not answered since')
        await expect(tab.locator(there).first(), `${path}: what was read stays`).toBeVisible()
      }
      await server.start()
      for (const { tab, path, there, wrong } of open) {
        await tab.bringToFront()
        await expect(tab.getByRole('status', { name: 'Connection' }), path).toContainText('The server was restarted at')
        await expect(tab.locator(there).first(), path).toBeVisible()
        await expect(tab.getByRole('main').getByRole('alert'), `${path}: nothing failed`).toHaveCount(0)
        expect(wrong, path).toEqual([])
        await tab.close()
      }
    })
  } finally {
    await context.close()
    await server.remove()
  }
})

test('an order, a change and a line of the log lead to their trace', async ({ page, request }) => {
  test.skip(!canRunShop, 'no binary to start a server of its own from')
  test.setTimeout(240_000)
  // No collector receives the spans; the links are the same.
  const server = await ownServer({ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9', KARTSHOPPE__TELEMETRY__TRACE_URL: 'http://traces.example/trace/{trace_id}' })
  try {
    await server.start()
    await expect.poll(() => stockOf(request, server)).toBe(17)
    const orderId = await buy(request, server, 'PROD_0001', 2, false)
    await page.goto(`${server.admin}/orders/${orderId}`)
    const trace = page.getByRole('link', { name: /^trace [0-9a-f]{32}$/ })
    const id = ((await trace.textContent()) ?? '').replace('trace ', '')
    await expect(trace).toHaveAttribute('href', `http://traces.example/trace/${id}`)
    await expect(trace).toHaveAttribute('rel', 'noreferrer')
    await page.goto(`${server.admin}/products/PROD_0001`)
    await expect(page.getByTestId('why').getByRole('link', { name: `trace ${id}` })).toBeVisible()
    await page.goto(`${server.admin}/orders/${orderId}`)
    await page.getByRole('link', { name: 'log', exact: true }).click()
    await expect(page).toHaveURL(new RegExp(`/logs\\?.*trace=${id}`))
    await expect(page.getByLabel('Trace id')).toHaveValue(id)
  } finally {
    await server.remove()
  }
})
