import { expect, test, type Page } from '@playwright/test'

import { isLive } from './shop'

const shop = process.env['KARTSHOPPE_URL'] ?? ''
const admin = process.env['KARTSHOPPE_ADMIN_URL'] ?? ''

/** What the browser refused because of a page's policy, from before its first script. */
async function violationsOf(page: Page): Promise<string[]> {
  const violations: string[] = []
  await page.exposeFunction('noteViolation', (text: string) => violations.push(text))
  await page.addInitScript(() => {
    addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI }) => {
      void (globalThis as unknown as { noteViolation: (text: string) => Promise<void> }).noteViolation(`${violatedDirective} ${blockedURI}`)
    })
  })
  page.on('console', (message) => {
    if (message.text().includes('Content Security Policy')) violations.push(message.text())
  })
  return violations
}

for (const host of ['127.0.0.1', 'localhost']) {
  test(`the page and its socket work under its policy on ${host}`, async ({ page }) => {
    const violations = await violationsOf(page)
    const answer = await page.goto(`${shop.replace('127.0.0.1', host)}/product/PROD_0001`)
    expect(answer?.headers()['content-security-policy']).toContain("connect-src 'self';")
    expect(answer?.headers()['content-security-policy']).not.toContain('unsafe')
    await isLive(page)
    await expect(page.getByRole('main').locator('img').first()).toBeVisible()
    expect(violations).toEqual([])
    const refused = page.evaluate(() => new Promise((done) => addEventListener('securitypolicyviolation', (event) => done(event.blockedURI), { once: true })))
    await page.evaluate(() => new WebSocket('ws://evil.example/'))
    expect(await refused).toContain('evil.example')
  })
}

for (const [name, url] of [
  ['the shop', shop],
  ['the operators', admin],
] as const) {
  test(`the API of ${name} can be browsed under its policy`, async ({ page }) => {
    test.skip(url === '', 'KARTSHOPPE_ADMIN_URL is not set')
    const violations = await violationsOf(page)
    const answer = await page.goto(`${url}/docs/`)
    expect(answer?.headers()['content-security-policy']).toContain("frame-ancestors 'none'")
    await page.locator('.opblock').first().waitFor()
    const livez = page.locator('.opblock').filter({ hasText: '/livez' })
    await livez.locator('.opblock-summary').click()
    await livez.getByRole('button', { name: 'Try it out' }).click()
    await livez.getByRole('button', { name: 'Execute' }).click()
    await expect(livez.locator('.live-responses-table .response .response-col_status').first()).toContainText('200')
    expect(violations).toEqual([])
  })
}
