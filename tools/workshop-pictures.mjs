// node workshop-pictures.mjs SHOP OPERATORS FOLDER: does what the chapters do, on a shop that has only the role api yet, and takes a
// picture where a chapter shows one. Chromium itself writes the WebP files, from a canvas.
import { writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

const { chromium } = createRequire(join(import.meta.dirname, '../ui/package.json'))('@playwright/test')
const [shop, operators, folder] = process.argv.slice(2)
const LAPTOP = 'PROD_0001'
const WORKSTATION = 'PROD_0002'
const HEADPHONES = 'PROD_0003'
/** Rates need some samples. */
const SAMPLED_MS = 4_000

const browser = await chromium.launch({ executablePath: process.env.KARTSHOPPE_CHROMIUM, args: process.getuid?.() === 0 ? ['--no-sandbox'] : [] })
const window = async (width, height) => (await browser.newContext({ viewport: { width, height }, colorScheme: 'light', reducedMotion: 'reduce' })).newPage()

async function ask(url, body, method = 'POST') {
  const answer = await fetch(url, { method, headers: { 'content-type': 'application/json', 'x-kartshoppe-operator': 'pictures' }, body: body && JSON.stringify(body) })
  if (!answer.ok) throw new Error(`${url}: ${answer.status} ${await answer.text()}`)
  return answer.json()
}
const read = (url) => ask(url, undefined, 'GET')

async function until(what, isSo) {
  for (let tries = 0; tries < 300; tries++) {
    if (await isSo()) return
    await sleep(100)
  }
  throw new Error(`never ${what}`)
}

async function buy(sessionId, productId, quantity) {
  await ask(`${shop}/api/ecommerce/cart/${sessionId}/add`, { productId, quantity })
  const { orderId } = await ask(`${shop}/api/ecommerce/checkout`, { sessionId })
  return { orderId, settled: () => until(`settled: ${orderId}`, async () => (await read(`${operators}/admin/orders/${orderId}`)).status !== 'PENDING') }
}

const canvas = await window(100, 100)
/** The pictures side by side, as WebP. */
async function keep(name, ...pngs) {
  const data = await canvas.evaluate(async (texts) => {
    const pictures = await Promise.all(texts.map(async (text) => createImageBitmap(await (await fetch(`data:image/png;base64,${text}`)).blob())))
    const gap = 12
    const sheet = new OffscreenCanvas(pictures.reduce((sum, { width }) => sum + width + gap, -gap), Math.max(...pictures.map(({ height }) => height)))
    const brush = sheet.getContext('2d')
    brush.fillStyle = '#8a8a8a'
    brush.fillRect(0, 0, sheet.width, sheet.height)
    let x = 0
    for (const picture of pictures) {
      brush.drawImage(picture, x, 0)
      x += picture.width + gap
    }
    const bytes = new Uint8Array(await (await sheet.convertToBlob({ type: 'image/webp', quality: 0.72 })).arrayBuffer())
    return btoa(bytes.reduce((text, byte) => text + String.fromCharCode(byte), ''))
  }, pngs.map((png) => png.toString('base64')))
  const bytes = Buffer.from(data, 'base64')
  writeFileSync(join(folder, `${name}.webp`), bytes)
  console.log(`${name}.webp ${Math.round(bytes.length / 1024)} KB`)
}

const console_ = async (name, path, sees, size = [1180, 720]) => {
  const page = await window(...size)
  await page.goto(operators + path)
  await page.getByText(sees).filter({ visible: true }).first().waitFor()
  await sleep(SAMPLED_MS)
  await keep(name, await page.screenshot())
  await page.close()
}

try {
  const first = await window(1000, 520)
  await first.goto(shop)
  await first.getByText('No inventory is running').waitFor()
  await keep('empty', await first.screenshot())
  await ask(`${operators}/admin/roles/inventory/start`)
  await first.locator('li[data-product]').first().waitFor()
  await first.waitForLoadState('networkidle')
  await sleep(1_000)
  await keep('filled', await first.screenshot())

  const [left, right] = [await window(560, 460), await window(560, 460)]
  for (const page of [left, right]) {
    await page.goto(`${shop}/product/${LAPTOP}`)
    await page.getByText('17 in stock').first().waitFor()
    await page.locator('[data-connection=live]').waitFor()
  }
  const order = await buy('alice', LAPTOP, 2)
  for (const page of [left, right]) {
    const stock = page.getByText('15 in stock').first()
    await stock.waitFor()
    await stock.evaluate((element) => element.scrollIntoView({ block: 'center' }))
    await page.mouse.move(0, 0)
  }
  await sleep(300)
  await keep('two-windows', await left.screenshot(), await right.screenshot())
  await order.settled()

  const where = encodeURIComponent(`.value.productId == "${LAPTOP}"`)
  await console_('inspect', `/inspect?topics=order-events%2Cinventory-events&where=${where}`, 'INVENTORY_DECREASED', [1180, 1020])
  await console_('order', `/orders/${order.orderId}`, 'Outcome in PostgreSQL')

  await ask(`${operators}/admin/faults`, { target: `product/${HEADPHONES}`, fault: 'kill', count: 2 })
  for (const shopper of ['heidi', 'ivan', 'judy']) await (await buy(shopper, HEADPHONES, 1)).settled()
  await console_('actor', `/actors/product/${HEADPHONES}`, 'Incarnation', [1180, 480])
  await console_('history', `/products/${LAPTOP}`, 'Changes')

  const workstation = await read(`${shop}/api/ecommerce/product/${WORKSTATION}`)
  await ask(`${operators}/admin/topics/product-updates/records`, { key: WORKSTATION, value: { ...workstation, price: 1999.99 } })
  await left.goto(shop)
  await right.goto(`${shop}/product/${WORKSTATION}`)
  for (const [page, shown] of [[left, left.getByRole('region', { name: 'Price drops' })], [right, right.getByTestId('price').first()]]) {
    await shown.filter({ hasText: '$1,999.99' }).waitFor()
    await page.waitForLoadState('networkidle')
    await shown.evaluate((element) => element.scrollIntoView({ block: 'center' }))
  }
  await sleep(300)
  await keep('price-drop', await left.screenshot(), await right.screenshot())

  await ask(`${operators}/admin/roles/cdc/start`)
  await ask(`${operators}/admin/roles/inventory/stop`)
  await buy('dave', HEADPHONES, 1)
  await console_('stopped', '/flow', 'Shards, products', [1440, 640])
} finally {
  await browser.close()
}
