import { expect, test, type APIRequestContext, type Locator, type Page } from '@playwright/test'

const admin = process.env['KARTSHOPPE_ADMIN_URL'] ?? ''
const operator = { 'x-kartshoppe-operator': 'e2e' }

test.beforeEach(() => test.skip(admin === '', 'KARTSHOPPE_ADMIN_URL is not set'))

async function append(request: APIRequestContext, topic: string, data: object): Promise<void> {
  const answer = await request.post(`${admin}/admin/topics/${topic}/records`, { headers: operator, data })
  expect(answer.ok(), await answer.text()).toBe(true)
}

/** What becomes a dead letter. */
function letter(productId: string): object {
  return { key: productId, value: { productId, name: 'Typed', price: 'dear', inventory: 1 } }
}

async function order(request: APIRequestContext, nth: number): Promise<void> {
  const sessionId = `ops-typing-${nth}`
  await request.post(`/api/ecommerce/cart/${sessionId}/add`, { data: { productId: 'PROD_0143', userId: 'guest', quantity: 1 } })
  expect((await request.post('/api/ecommerce/checkout', { data: { sessionId, userId: 'guest', useCdc: false } })).ok()).toBe(true)
}

/** Types key by key, with something happening and the page reading it after each. */
async function typeThroughUpdates(page: Page, field: Locator, text: string, path: string, happen: (nth: number) => Promise<void>): Promise<void> {
  await field.focus()
  for (const [nth, key] of [...text].entries()) {
    if (nth % 4 === 1) {
      const read = page.waitForResponse((answer) => answer.url().includes(path))
      await happen(nth)
      await read
    }
    await page.keyboard.type(key)
    await expect(field).toBeFocused()
  }
}

test('what is typed and the focus stay while orders come, and after they are searched', async ({ page, request }) => {
  await page.goto(`${admin}/orders?product=PROD_0143`)
  const field = page.getByLabel('Product')
  await field.fill('')
  await typeThroughUpdates(page, field, 'PROD_01', '/admin/orders', (nth) => order(request, nth))
  await expect(field).toHaveValue('PROD_01')
  await page.getByLabel('Older than').fill('2h')
  await field.focus()
  await page.keyboard.press('End')
  await page.keyboard.type('43')
  await page.keyboard.press('Enter')
  await expect(page).toHaveURL(/product=PROD_0143.*olderThan=2h/)
  await expect(field, 'the question was sent, and typing goes on').toBeFocused()
  await page.keyboard.press('Backspace')
  await expect(field).toHaveValue('PROD_014')
  // Another address is another question: the fields follow it.
  await page.goto(`${admin}/orders?product=PROD_0001`)
  await expect(field).toHaveValue('PROD_0001')
  await expect(page.getByLabel('Older than')).toHaveValue('')
})

test('the moment of a product stays under the cursor while its stock changes', async ({ page, request }) => {
  await page.goto(`${admin}/products/PROD_0143`)
  const field = page.getByLabel('Moment')
  await typeThroughUpdates(page, field, '2026-01-31T10', '/timeline', (nth) => order(request, 100 + nth))
  await page.keyboard.type(':00:00Z')
  await page.keyboard.press('Enter')
  await expect(page).toHaveURL(/at=1769853600000/)
  await expect(field).toBeFocused()
})

test('a corrected value is kept while newer dead letters of this and another kind come', async ({ page, request }) => {
  test.setTimeout(180_000)
  const id = `OPS_TYPE_${Date.now()}`
  await append(request, 'product-updates', letter(id))
  await page.goto(`${admin}/trouble`)
  const mine = page.locator('[data-letter]').filter({ hasText: id })
  const group = page.locator('details').filter({ has: page.locator('[data-letter]').filter({ hasText: id }) })
  await expect(group).toHaveCount(1)
  await group.evaluate((one) => one.setAttribute('open', ''))
  const field = mine.getByLabel('Corrected value')
  await field.fill('')
  await typeThroughUpdates(page, field, '{"a":1', '/admin/dead-letters/groups', async (nth) => {
    // More than a group shows, and another kind, which nobody has opened.
    const records = Array.from({ length: 25 }, (_, other) => letter(`${id.replace('TYPE', 'LATER')}_${nth}_${other}`))
    await append(request, 'product-updates', { records })
    await append(request, 'order-events', { valueBase64: Buffer.from(`{"no": ${nth}`).toString('base64') })
  })
  await expect(page.locator('[data-letter]').filter({ hasText: id.replace('TYPE', 'LATER') }).first()).toBeVisible()
  await expect(field).toHaveValue('{"a":1')
  await expect(field).toBeFocused()
})

test('a button that rests keeps the focus', async ({ page }) => {
  await page.goto(`${admin}/actors/alert-desk`)
  const restart = page.getByRole('button', { name: /^Restart/ })
  await restart.focus()
  await page.keyboard.press('Enter')
  await page.getByRole('dialog').getByRole('button', { name: 'Restart' }).press('Enter')
  await expect(page.getByRole('status').filter({ hasText: 'gave way to' })).toBeVisible()
  await expect(restart).toBeFocused()
})
