// Opens a page and says whether it shows a text or has an element. The program passes this file to Node on its standard input,
// in ui/, where Playwright is. One line of JSON comes out.
import { chromium } from '@playwright/test'

const { url, sees, waitMs, browser: executablePath } = JSON.parse(process.env.KARTSHOPPE_PAGE_CHECK)
const say = (answer) => console.log(JSON.stringify(answer))
// Chromium's sandbox cannot be used by root.
const browser = await chromium.launch({ executablePath, args: process.getuid?.() === 0 ? ['--no-sandbox'] : [] })
try {
  const page = await browser.newPage()
  await page.goto(url, { waitUntil: 'domcontentloaded', timeout: 15_000 })
  // What is only there for screen readers, or far down, counts; what is hidden does not.
  const place = sees.startsWith('CSS:') ? page.locator(sees.slice(4).trim()) : page.getByText(sees)
  try {
    await place.filter({ visible: true }).first().waitFor({ state: 'visible', timeout: Math.max(waitMs, 1) })
    say({ sees: true })
  } catch {
    const words = (await page.locator('body').innerText()).replace(/\s+/g, ' ').slice(0, 160)
    say({ sees: false, detail: `the page does not show ${sees}; it begins with: ${words}` })
  }
} catch (error) {
  say({ sees: false, detail: `${new URL(url).pathname} cannot be opened: ${String(error.message).split('\n')[0]}` })
} finally {
  await browser.close()
}
