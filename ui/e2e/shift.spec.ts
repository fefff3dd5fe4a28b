import { expect, test, type Browser, type Page } from '@playwright/test'

import { addToCart, fillAddress, isLive, orderStatus, placeOrder, someProduct } from './shop'

const MOST = 0.02
/** Answers arrive one after another, so that each state between them is drawn. In milliseconds. */
const LATE = { font: 900, picture: 500, api: 350 }

/** Pages that load at the same time. */
const AT_ONCE = 4

type Seen = { shift: number; causes: string[] }

/** A page that adds up its layout shifts, with what moved, and gets nothing in time. */
async function slowPage(browser: Browser, viewport: { width: number; height: number }, storageState?: Awaited<ReturnType<Awaited<ReturnType<Browser['newContext']>>['storageState']>>): Promise<Page> {
  const context = await browser.newContext({ viewport, ...(storageState && { storageState }) })
  const page = await context.newPage()
  await (await context.newCDPSession(page)).send('Emulation.setCPUThrottlingRate', { rate: 4 })
  await page.addInitScript(() => {
    const seen: Seen = { shift: 0, causes: [] }
    Object.assign(globalThis, { seen })
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries() as (PerformanceEntry & { value: number; hadRecentInput: boolean; sources: { node: Element | null; previousRect: DOMRect; currentRect: DOMRect }[] })[]) {
        if (entry.hadRecentInput) continue
        seen.shift += entry.value
        for (const { node, previousRect, currentRect } of entry.sources) seen.causes.push(`${entry.value.toFixed(4)} ${node?.nodeName} ${node?.className} y ${previousRect.y} to ${currentRect.y}, height ${previousRect.height} to ${currentRect.height}`)
      }
    }).observe({ type: 'layout-shift', buffered: true })
  })
  let nth = 0
  await page.route(/\/api\/|woff2/, async (route) => {
    const url = route.request().url()
    const late = url.includes('woff2') ? LATE.font : url.endsWith('/image') ? LATE.picture : LATE.api + 60 * (nth++ % 5)
    await new Promise((after) => setTimeout(after, late))
    await route.continue().catch(() => undefined)
  })
  return page
}

for (const [name, viewport] of Object.entries({ desktop: { width: 1366, height: 768 }, phone: { width: 390, height: 844 }, 'small phone': { width: 320, height: 640 } })) {
  test(`no page moves while it loads: ${name}`, async ({ browser, page: shopper, request }) => {
    test.setTimeout(240_000)
    const product = await someProduct(request, 40)
    await addToCart(shopper, product.productId, 1)
    const withCart = await shopper.context().storageState()
    const other = await browser.newContext()
    const buyer = await other.newPage()
    await addToCart(buyer, product.productId, 1)
    await buyer.goto('/checkout')
    await fillAddress(buyer)
    await placeOrder(buyer).click()
    await expect(orderStatus(buyer)).toHaveText('Confirmed')
    const order = new URL(buyer.url()).pathname
    const withOrder = await other.storageState()
    await other.close()
    const pages = [
      ['front page', '/'],
      ['category', '/?category=Books'],
      ['search', '/?search=lamp'],
      ['nothing found', '/?search=qqqqqq'],
      ['product', `/product/${product.productId}`],
      ['unknown product', '/product/NONE'],
      ['empty cart', '/cart'],
      ['cart', '/cart', withCart],
      ['empty checkout', '/checkout'],
      ['checkout', '/checkout', withCart],
      ['no orders', '/orders'],
      ['orders', '/orders', withOrder],
      ['order', order, withOrder],
      ['unknown order', '/orders/none'],
      ['nowhere', '/nothing/here'],
    ] as const
    const visit = async ([what, path, state]: (typeof pages)[number]) => {
      const page = await slowPage(browser, viewport, state)
      await page.goto(path)
      await isLive(page)
      await page.waitForLoadState('networkidle')
      const { shift, causes } = await page.evaluate(() => (globalThis as unknown as { seen: Seen }).seen)
      process.stdout.write(`layout shift of ${what}, ${name}: ${shift.toFixed(4)}\n`)
      expect.soft(shift, `${what}, ${name}:\n${causes.join('\n')}`).toBeLessThanOrEqual(MOST)
      await page.context().close()
    }
    // They mostly wait.
    for (let first = 0; first < pages.length; first += AT_ONCE) await Promise.all(pages.slice(first, first + AT_ONCE).map(visit))
  })
}
