// One purchase in a real browser, before another shopper's page that shows the product.
import { createRequire } from 'node:module'
import { join } from 'node:path'

const ui = join(import.meta.dirname, '../../ui')

/** Buys a product by hand, as it were; returns the order's id once the other page shows the new stock. */
export async function buyInBrowser(shopUrl) {
  const { chromium } = createRequire(join(ui, 'package.json'))('@playwright/test')
  const sandbox = process.getuid?.() === 0 ? ['--no-sandbox'] : []
  const browser = await chromium.launch({ executablePath: process.env.KARTSHOPPE_CHROMIUM, args: [...sandbox, '--disable-gpu', '--disable-quic'] })
  try {
    const [page, other] = await Promise.all([1, 2].map(async () => (await browser.newContext({ baseURL: shopUrl })).newPage()))
    const products = await (await fetch(`${shopUrl}/api/ecommerce/products?limit=100&sort=popular&inStock=true`)).json()
    // None that the scripted session buys.
    const { productId } = products.find((one) => one.inventory >= 5 && Number(one.productId.replace('PROD_', '')) >= 50)
    await opened(other, `/product/${productId}`, 'tracer-')
    await page.goto(`/product/${productId}`)
    await page.locator('[data-connection="live"]').waitFor()
    await page.getByRole('main').getByRole('button', { name: 'Add to cart' }).click()
    await page.getByTestId('cart-count').getByText('1').waitFor()
    await opened(page, '/checkout', 'tracer-')
    const address = { 'Full name': 'Ada Example', 'Street and number': '1 Long Lane', City: 'Utrecht', 'Postal code': '3511', Country: 'Netherlands' }
    for (const [label, text] of Object.entries(address)) await page.getByLabel(label).fill(text)
    // The page that repaints must be in front: one in the background is not drawn.
    await other.bringToFront()
    const answered = page.waitForResponse((response) => response.url().endsWith('/api/ecommerce/checkout'))
    await page.getByRole('button', { name: /^Place order for/ }).click()
    const { orderId } = await (await answered).json()
    const left = products.find((one) => one.productId === productId).inventory - 1
    await other.getByTestId('stock').first().getByText(String(left)).waitFor()
    // Both pages send what they have after two seconds.
    await page.waitForTimeout(4_000)
    return orderId
  } finally {
    await browser.close()
  }
}

/** Opens a page, and waits until it has loaded its tracer and is live. */
async function opened(page, path, asset) {
  const loaded = page.waitForResponse((response) => response.url().includes(`assets/${asset}`))
  await page.goto(path)
  await loaded
  await page.locator('[data-connection="live"]').waitFor()
}
