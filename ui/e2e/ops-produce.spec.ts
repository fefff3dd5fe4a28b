import { expect, test, type Page } from '@playwright/test'

import { isClean } from './axe'
import { discontinue, isLive, stockOf } from './shop'

const admin = process.env['KARTSHOPPE_ADMIN_URL'] ?? ''

test.beforeEach(() => test.skip(admin === '', 'KARTSHOPPE_ADMIN_URL is not set'))

/** Fills the form with a template, for a product and its new stock or price where it asks for them. */
async function fill(page: Page, template: string, productId?: string, change: Record<string, string> = {}): Promise<void> {
  await page.getByRole('combobox', { name: 'Template' }).selectOption(template)
  if (productId !== undefined) await page.getByLabel('Product', { exact: true }).fill(productId)
  for (const [label, text] of Object.entries(change)) await page.getByLabel(label).fill(text)
  await page.getByRole('button', { name: 'Fill the form' }).click()
}

const write = (page: Page) => page.getByRole('button', { name: 'Write the record' }).click()

/** What came of the last record: the kind of a result beside its record on a topic. */
function result(page: Page, kind: string, topic: string) {
  return page.getByTestId('outcome').getByRole('listitem').filter({ hasText: kind }).filter({ has: page.getByRole('link', { name: new RegExp(`^${topic}/\\d+/\\d+$`) }) })
}

test('each template is written without a key; its event, its alert and the shop show what came of it', async ({ page, context, request }) => {
  const id = `OPS_MADE_${Date.now()}`
  try {
    await page.goto(`${admin}/produce`)
    await fill(page, 'New product')
    await expect(page.getByText('The record holds'), 'no product of the shop').toContainText('a whole product, made up')
    const value = page.getByLabel('Value text')
    await expect(value).toHaveValue(/"productId": "PROD_NEW"/)
    await value.fill((await value.inputValue()).replace('PROD_NEW', id))
    await expect(page.getByLabel('Key text'), 'no key').toHaveCount(0)
    await write(page)
    await expect(result(page, 'PRODUCT_ADDED', 'inventory-events')).toContainText(id)
    const shop = await context.newPage()
    await shop.goto(`/product/${id}`)
    await isLive(shop)
    await expect(stockOf(shop)).toContainText('10')
    await expect(shop.getByTestId('price').first()).toContainText('19.90')

    await fill(page, 'Restock', id, { 'New stock': '31' })
    await expect(page.getByText('The record holds')).toContainText('with its stock changed')
    await expect(value, 'the rest is as the shop has it').toHaveValue(/"price": 19\.9[^]*"inventory": 31,/)
    await write(page)
    await expect(result(page, 'INVENTORY_INCREASED', 'inventory-events')).toContainText(/"previousInventory": 10,\s+"currentInventory": 31,/)
    await expect(stockOf(shop)).toContainText('31')

    await fill(page, 'Price drop', id, { 'New price': '12.5' })
    await expect(value).toHaveValue(/"price": 12\.5,[^]*"inventory": 31,/)
    await write(page)
    await expect(result(page, 'PRICE_CHANGED', 'inventory-events')).toContainText(/"currentPrice": 12\.5/)
    await expect(result(page, 'PRICE_DROP', 'inventory-alerts')).toContainText('Price dropped 37.2%')
    await expect(shop.getByTestId('price').first()).toContainText('12.50')
    await expect(stockOf(shop)).toContainText('31')
    await isClean(page, 'what came of a price drop')
  } finally {
    await discontinue(request, id)
  }
})

test('a template that has no product, a record that the shop cannot take and one that changes nothing say so', async ({ page, request }) => {
  const id = `OPS_UNMADE_${Date.now()}`
  try {
    await page.goto(`${admin}/produce`)
    await fill(page, 'Price drop', id, { 'New price': '1' })
    await expect(page.getByRole('alert')).toContainText(`The shop has no product ${id}.`)

    await fill(page, 'New product')
    const value = page.getByLabel('Value text')
    const whole = (await value.inputValue()).replace('PROD_NEW', id)
    await value.fill(whole.replace('19.9', '"dear"'))
    await write(page)
    await expect(result(page, 'dead-letters', 'dead-letters')).toContainText('price')

    await value.fill(whole)
    await write(page)
    await expect(result(page, 'PRODUCT_ADDED', 'inventory-events')).toContainText(id)
    await write(page)
    await expect(page.getByTestId('outcome')).toContainText('A record that changes nothing makes none', { timeout: 30_000 })
  } finally {
    await discontinue(request, id)
  }
})
