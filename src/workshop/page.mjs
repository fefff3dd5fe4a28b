// Opens a page and says whether it shows a text or has an element. The program passes this file to Node on its standard input,
// in ui/, where Playwright is. One line of JSON comes out.
import { setTimeout as sleep } from 'node:timers/promises'

import { chromium } from '@playwright/test'

const { url, sees, waitMs, browser: executablePath } = JSON.parse(process.env.KARTSHOPPE_PAGE_CHECK)
const say = (answer) => console.log(JSON.stringify(answer))
const plain = (text) => text.replace(/\s+/g, ' ').trim()

// Chromium's sandbox cannot be used by root.
const browser = await chromium.launch({ executablePath, args: process.getuid?.() === 0 ? ['--no-sandbox'] : [] })
try {
  const page = await browser.newPage()
  await page.goto(url, { waitUntil: 'domcontentloaded', timeout: 15_000 })
  const isThere = sees.startsWith('CSS:')
    ? () => page.locator(sees.slice(4).trim()).filter({ visible: true }).count().then((count) => count > 0)
    // As a reader sees it: over the borders of elements, and as large as the style makes its letters.
    : async () => plain(await page.locator('body').innerText()).toLowerCase().includes(plain(sees).toLowerCase())
  const limit = Date.now() + waitMs
  let found = await isThere()
  while (!found && Date.now() < limit) {
    await sleep(100)
    found = await isThere()
  }
  if (found) say({ sees: true })
  else say({ sees: false, detail: `the page does not show ${sees}; it begins with: ${plain(await page.locator('body').innerText()).slice(0, 160)}` })
} catch (error) {
  say({ sees: false, detail: `${new URL(url).pathname} cannot be opened: ${String(error.message).split('\n')[0]}` })
} finally {
  await browser.close()
}
