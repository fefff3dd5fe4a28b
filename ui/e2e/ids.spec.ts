import { expect, test } from '@playwright/test'

import { isLive, mark } from './shop'

const admin = process.env['KARTSHOPPE_ADMIN_URL'] ?? ''
const IDS = ['SKU:1', 'A&B', 'C++', 'a/b', 'a%2Fb', '50%', 'x?y#z', '...', '%2E%2E', 'a,b;c=d@e$', 'back\\slash', '图书📚']

test.describe('ids that mean something in addresses', () => {
  test.skip(admin === '', 'KARTSHOPPE_ADMIN_URL is not set')

  test('every product opens by click, by address and after a reload', async ({ page, request }) => {
    for (const id of IDS) {
      // U+FFFE: legal in JSON, and in no XML; the picture is one.
      const value = { productId: id, name: `Odd ${id}\ufffe`, price: 2.5, inventory: 9, category: 'Odd ids' }
      const data = { key: id, value }
      const answer = await request.post(`${admin}/admin/topics/product-updates/records`, { headers: { 'x-kartshoppe-operator': 'e2e' }, data })
      expect(answer.ok(), `${id}: ${answer.status()}`).toBe(true)
    }
    await page.goto('/?category=Odd+ids')
    await isLive(page)
    for (const id of IDS) {
      const heading = page.getByRole('heading', { level: 1, name: `Odd ${id}`, exact: false })
      const card = page.locator(`li[data-product=${JSON.stringify(id)}]`)
      const notLoadedAgain = await mark(page)
      await card.getByRole('link').click()
      await expect(heading).toBeVisible()
      await expect(page).toHaveURL(new RegExp(`${escaped(`/product/${encodeURIComponent(id)}`)}$`))
      await notLoadedAgain()
      await page.reload()
      await expect(heading).toBeVisible()
      const picture = page.getByRole('main').locator('img').first()
      await expect.poll(() => picture.evaluate((image: HTMLImageElement) => image.naturalWidth), id).toBeGreaterThan(0)
      await page.getByRole('main').getByRole('button', { name: 'Add to cart' }).click()
      await page.goto(`/product/${encodeURIComponent(id)}`)
      await expect(heading).toBeVisible()
      await page.goto('/?category=Odd+ids')
    }
    await page.goto('/cart')
    for (const id of IDS) await expect(page.getByRole('link', { name: `Odd ${id}`, exact: false }).first()).toHaveAttribute('href', `/product/${encodeURIComponent(id)}`)
  })

  test('a search is read from the address as it was written', async ({ page }) => {
    await page.goto(`/?search=${encodeURIComponent('a%2Fb')}`)
    await expect(page.getByRole('searchbox')).toHaveValue('a%2Fb')
  })
})

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
}
