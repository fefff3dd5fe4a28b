import { expect, test, type APIRequestContext, type Page } from '@playwright/test'

import { isClean } from './axe'

const admin = process.env['KARTSHOPPE_ADMIN_URL'] ?? ''
const operator = { 'x-kartshoppe-operator': 'e2e' }

async function append(request: APIRequestContext, topic: string, data: object): Promise<void> {
  const answer = await request.post(`${admin}/admin/topics/${topic}/records`, { headers: operator, data })
  expect(answer.ok(), `${topic}: ${answer.status()} ${await answer.text()}`).toBe(true)
}

const product = (productId: string, price: unknown, inventory: number) => ({ productId, name: `A ${productId}`, description: '', category: 'Ops', brand: '', price, inventory, imageUrl: '', tags: [], rating: 0, reviewCount: 0 })

/** No error reaches the browser's console. */
function errorsOf(page: Page): string[] {
  const errors: string[] = []
  page.on('console', (message) => message.type() === 'error' && errors.push(message.text()))
  page.on('pageerror', (error) => errors.push(String(error)))
  return errors
}

test.describe('the console', () => {
  test.skip(admin === '', 'KARTSHOPPE_ADMIN_URL is not set')

  test('says why a stock fell, and which order is stuck where', async ({ page, request }) => {
    const errors = errorsOf(page)
    await append(request, 'product-updates', { key: 'OPS_FALL', value: product('OPS_FALL', 4, 10) })
    await expect.poll(async () => (await request.get('/api/ecommerce/product/OPS_FALL')).status()).toBe(200)
    const session = 'ops-session-secret'
    await request.post(`/api/ecommerce/cart/${session}/add`, { data: { productId: 'OPS_FALL', userId: 'guest', quantity: 3 } })
    const placed = await (await request.post('/api/ecommerce/checkout', { data: { sessionId: session, userId: 'guest', useCdc: false } })).json()
    await expect.poll(async () => (await (await request.get(`/api/ecommerce/product/OPS_FALL`)).json()).inventory).toBe(7)

    await page.goto(`${admin}/products/OPS_FALL`)
    await expect(page.getByTestId('state')).toContainText('7 in stock')
    await page.getByTestId('why').getByRole('link', { name: placed.orderId }).click()
    await expect(page.locator('[data-stop="settled"][data-reached="true"]')).toBeVisible()
    await expect(page.getByRole('link', { name: /^order-events\// })).toBeVisible()
    await isClean(page, 'an order')

    // The moment before: the slider's first place is the first change.
    await page.goto(`${admin}/products/OPS_FALL`)
    await page.getByRole('slider').press('Home')
    await expect(page).toHaveURL(/[?&]at=\d+/)
    await expect(page.getByTestId('state')).toContainText('10 in stock')
    await isClean(page, 'a product')

    // A span between two moments: the change before it is in neither the list nor the chart.
    await page.goto(`${admin}/products/OPS_FALL`)
    const changes = page.getByRole('group', { name: 'Changes' }).getByRole('row')
    await expect(changes).toHaveCount(3)
    const sold = (await changes.nth(1).locator('td').first().getAttribute('title')) ?? ''
    await page.getByLabel('Changes from').fill(sold)
    await page.getByLabel('Changes to').fill(sold)
    await page.getByRole('button', { name: 'Show', exact: true }).click()
    await expect(page).toHaveURL(new RegExp(`from=${Date.parse(sold)}.*to=${Date.parse(sold)}`))
    await expect(changes).toHaveCount(2)
    await expect(page.locator('[data-series="stock"]')).toContainText('lowest 7, highest 7')
    await page.getByLabel('Changes to').fill('yesterday')
    await page.getByRole('button', { name: 'Show', exact: true }).click()
    await expect(page.getByRole('alert').filter({ hasText: 'A moment is' })).toBeVisible()

    // The record behind a change is shown as its bytes have it.
    const exact = '{"price": 4.50, "productId": "OPS_EXACT", "name": "Exact", "inventory": 3, "unknown": 9007199254740993}'
    await append(request, 'product-updates', { valueBase64: Buffer.from(exact).toString('base64') })
    await expect.poll(async () => (await request.get('/api/ecommerce/product/OPS_EXACT')).status()).toBe(200)
    await page.goto(`${admin}/products/OPS_EXACT`)
    await expect(page.getByTestId('cause-value')).toHaveText(exact)

    expect((await request.post(`${admin}/admin/roles/cdc/stop`, { headers: operator })).ok()).toBe(true)
    let stuck
    try {
      await request.post(`/api/ecommerce/cart/${session}/add`, { data: { productId: 'OPS_FALL', userId: 'guest', quantity: 1 } })
      stuck = (await (await request.post('/api/ecommerce/checkout', { data: { sessionId: session, userId: 'guest', useCdc: true } })).json()) as { orderId: string }
      await page.goto(`${admin}/orders?status=PENDING&product=OPS_FALL`)
      await isClean(page, 'orders')
      await page.getByRole('link', { name: stuck.orderId }).click()
      await expect(page.getByTestId('waits')).toContainText('the WAL reader has not published it')
    } finally {
      // Other tests use the same shop.
      await request.post(`${admin}/admin/roles/cdc/start`, { headers: operator })
    }
    await expect(page.locator('[data-stop="settled"][data-reached="true"]')).toBeVisible({ timeout: 40_000 })

    // A session is looked for without leaving a trace in the address.
    await page.goto(`${admin}/orders`)
    await page.getByLabel('Session id').fill(session)
    await page.getByRole('button', { name: 'Find' }).click()
    await expect(page.getByRole('link', { name: stuck.orderId })).toBeVisible()
    expect(page.url()).not.toContain(session)
    await page.getByLabel('Product').fill('OPS_FALL')
    await page.getByRole('button', { name: 'Find' }).click()
    await expect(page).toHaveURL(/[?&]product=OPS_FALL/)
    expect(errors).toEqual([])
  })

  test('replays a dead letter as a corrected copy, once', async ({ page, request }) => {
    const id = `OPS_LETTER_${Date.now()}`
    await append(request, 'product-updates', { key: id, value: product(id, 'dear', 4) })
    await page.goto(`${admin}/trouble`)
    const letter = page.locator('[data-letter]').filter({ hasText: id })
    await expect(page.locator('summary').first()).toBeVisible()
    await page.locator('details:not([open]) > summary').evaluateAll((all) => all.forEach((one) => (one as HTMLElement).click()))
    await expect(letter).toBeVisible()
    await isClean(page, 'trouble')
    await letter.getByLabel('Corrected value').fill(JSON.stringify(product(id, 2.5, 4)))
    await letter.getByRole('button', { name: 'Replay' }).click()
    await page.getByRole('button', { name: 'Replay it once' }).click()
    await expect(letter.getByText('replayed', { exact: true })).toBeVisible()
    await expect.poll(async () => (await request.get(`/api/ecommerce/product/${id}`)).status()).toBe(200)
  })

  test('offers to order again where an item has its outcome', async ({ page, request }) => {
    const id = `OPS-AGAIN-${Date.now()}`
    await append(request, 'order-events', { key: 'PROD_0144', value: { orderId: id, orderItemId: `${id}-1`, productId: 'PROD_0144', quantity: 'two' } })
    await page.goto(`${admin}/trouble`)
    const letter = page.locator('[data-letter]').filter({ hasText: id })
    await expect(letter).toHaveCount(1)
    await page.locator('details:not([open]) > summary').evaluateAll((all) => all.forEach((one) => (one as HTMLElement).click()))
    // Nothing was searched yet, so nothing is claimed.
    await expect(letter.getByTestId('order-again')).toHaveCount(0)
    await letter.getByLabel('Corrected value').fill(JSON.stringify({ orderId: id, orderItemId: `${id}-1`, productId: 'PROD_0144', quantity: 2 }))
    await letter.getByRole('button', { name: 'Replay' }).click()
    await page.getByRole('button', { name: 'Replay it once' }).click()
    const offer = letter.getByTestId('order-again')
    await expect(offer).toContainText('has its outcome')
    await expect(offer.getByRole('link', { name: /Order again/ })).toHaveAttribute('href', /\/product\/PROD_0144$/)
    await isClean(page, 'the offer')
    await offer.getByRole('link', { name: /^inventory-events\// }).click()
    await expect(page.getByRole('main')).toContainText('ORDER_REJECTED')
  })
})
