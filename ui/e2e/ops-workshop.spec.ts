import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'

import { expect, test } from '@playwright/test'

import { isClean } from './axe'
import { ownServer } from './ownServer'
import { overflow } from './shop'

const admin = process.env['KARTSHOPPE_ADMIN_URL'] ?? ''

test.beforeEach(() => test.skip(admin === '', 'KARTSHOPPE_ADMIN_URL is not set'))

type Block = { kind: string; name?: string; how?: string; text?: string; local?: boolean }
const TEXTS = { exercises: 'How exercises work', troubleshooting: 'Troubleshooting', agenda: 'For instructors' }
type Chapter = { place: string; title: string; begunAtMs: number | null; blocks: Block[] }

for (const colorScheme of ['light', 'dark'] as const) {
  for (const width of [1280, 390]) {
    test(`every text is clean, ${colorScheme}, ${width} px wide`, async ({ browser, request }) => {
      test.setTimeout(180_000)
      const rows = (await (await request.get(`${admin}/admin/workshop`)).json()) as { place: string; title: string }[]
      expect(rows.length).toBeGreaterThan(0)
      const headings = [...rows.map(({ place, title }) => [place, `${place} · ${title}`] as const), ...Object.entries(TEXTS)]
      const context = await browser.newContext({ colorScheme, viewport: { width, height: 860 } })
      const page = await context.newPage()
      const complaints: string[] = []
      page.on('console', (message) => void (['error', 'warning'].includes(message.type()) && complaints.push(message.text())))
      page.on('pageerror', (error) => complaints.push(String(error)))
      for (const [place, heading] of headings) {
        await page.goto(`${admin}/workshop/${place}?notes`)
        await expect(page.getByRole('heading', { level: 1 })).toHaveText(heading)
        await expect(/^\d/.test(place) ? page.getByRole('button', { name: 'Check this chapter' }) : page.getByText('The text is')).toBeVisible()
        await isClean(page, place)
        expect(await overflow(page), `${place}: no sideways scrolling`).toBeLessThanOrEqual(0)
      }
      expect(complaints).toEqual([])
      await context.close()
    })
  }
}

test('chapters show their pictures, in the size that the text has given them', async ({ page, request }) => {
  const rows = (await (await request.get(`${admin}/admin/workshop`)).json()) as { place: string }[]
  let seen = 0
  for (const { place } of rows) {
    const { blocks } = (await (await request.get(`${admin}/admin/workshop/${place}`)).json()) as { blocks: { html?: string }[] }
    const expected = blocks.flatMap(({ html }) => html?.match(/<img /g) ?? []).length
    if (expected === 0) continue
    await page.goto(`${admin}/workshop/${place}?notes`)
    const pictures = page.locator('.prose img')
    await expect(pictures).toHaveCount(expected)
    for (const picture of await pictures.all()) {
      await expect(picture).toHaveAttribute('alt', /\w/)
      const [width, height] = [await picture.getAttribute('width'), await picture.getAttribute('height')]
      await expect.poll(() => picture.evaluate((img: HTMLImageElement) => `${img.naturalWidth} × ${img.naturalHeight}`), place).toBe(`${width} × ${height}`)
      expect(Number(width)).toBeGreaterThan(100)
      seen += 1
    }
  }
  expect(seen, 'no chapter has a picture').toBeGreaterThan(0)
})

test('an exercise is read in the console, its hints only when they are asked for', async ({ page }) => {
  await page.goto(`${admin}/workshop/8`)
  await page.getByRole('link', { name: 'price drop' }).click()
  await expect(page).toHaveURL(/\/workshop\/E4$/)
  await expect(page.getByRole('heading', { name: 'Task' })).toBeVisible()
  const solutions = page.locator('details pre')
  await expect(solutions).toHaveCount(1)
  await expect(solutions).toBeHidden()
  const last = page.getByText('Hint 3 of 3')
  await last.focus()
  await page.keyboard.press('Enter')
  await expect(solutions).toBeVisible()
  await expect(page.locator('details[open]')).toHaveCount(1)
  await isClean(page, 'E4')
})

test('texts beside the chapters are read in the console, and lead to each other', async ({ page }) => {
  const list = page.getByRole('navigation', { name: 'Chapters' })
  await page.goto(`${admin}/workshop/0`)
  await page.getByRole('article').getByRole('link', { name: 'Troubleshooting' }).click()
  await expect(page).toHaveURL(/\/workshop\/troubleshooting$/)
  await expect(page.getByRole('heading', { name: 'The shop does not start' })).toBeVisible()
  await expect(list.getByRole('link', { name: 'Troubleshooting' })).toHaveAttribute('aria-current', 'page')
  await page.goto(`${admin}/workshop/14`)
  await page.getByRole('article').getByRole('link', { name: 'the exercises' }).click()
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('How exercises work')
  await page.getByRole('article').getByRole('link', { name: 'E3', exact: true }).click()
  await expect(page).toHaveURL(/\/workshop\/E3$/)
  await list.getByRole('link', { name: 'For instructors' }).click()
  await expect(page.getByRole('heading', { name: 'What to prepare' })).toBeVisible()
})

test('texts and pictures that were not opened before can be read while the shop is closed', async ({ page, request }) => {
  const server = await ownServer({})
  try {
    await server.start()
    const rows = (await (await request.get(`${server.admin}/admin/workshop`)).json()) as { place: string }[]
    const texts = [...rows.map(({ place }) => place), ...Object.keys(TEXTS)]
    const pictures = new Map<string, string[]>()
    for (const place of texts) pictures.set(place, (await (await request.get(`${server.admin}/admin/workshop/${place}`)).text()).match(/\/workshop\/pictures\/[\w.-]+/g) ?? [])
    const illustrated = texts.filter((place) => pictures.get(place)?.length)
    expect(illustrated.length).toBeGreaterThan(5)
    const loaded = new Set<string>()
    page.on('requestfinished', (finished) => void loaded.add(new URL(finished.url()).pathname))
    await page.goto(`${server.admin}/workshop/0`)
    await expect.poll(() => [...texts.map((place) => `/admin/workshop/${place}`), ...illustrated.flatMap((place) => pictures.get(place) ?? [])].filter((path) => !loaded.has(path))).toEqual([])
    await server.kill()
    for (const place of illustrated) {
      await page.getByRole('navigation', { name: 'Chapters' }).locator(`a[href="/workshop/${place}"]`).click()
      const picture = page.locator('.prose img').first()
      await expect.poll(() => picture.evaluate((img: HTMLImageElement) => img.complete && img.naturalWidth > 100), place).toBe(true)
    }
    await page.getByRole('link', { name: 'Troubleshooting' }).click()
    await expect(page.getByText('The shop is open already.')).toBeVisible()
  } finally {
    await server.remove()
  }
})

test('a chapter is begun and checked by keyboard; what is missing is said, notes are for instructors', async ({ page, request }) => {
  const rows = (await (await request.get(`${admin}/admin/workshop`)).json()) as { place: string }[]
  const chapters = await Promise.all(rows.map(async ({ place }) => (await (await request.get(`${admin}/admin/workshop/${place}`)).json()) as Chapter))
  const chapter = chapters.find(({ blocks }) => blocks.some(({ kind, local }) => kind === 'check' && local === false) && blocks.some(({ kind }) => kind === 'notes'))
  if (!chapter) throw new Error('no chapter has notes and a check of the server')
  await page.goto(`${admin}/workshop/${chapter.place}`)
  await expect(page.getByRole('navigation', { name: 'Chapters' }).getByRole('link', { name: chapter.title })).toHaveAttribute('aria-current', 'page')
  await expect(page.getByRole('complementary', { name: 'For instructors' })).toHaveCount(0)
  const begin = page.getByRole('button', { name: /^Begin/ })
  await begin.focus()
  await page.keyboard.press('Enter')
  await expect(page.getByRole('button', { name: 'Begin again' })).toBeVisible()
  await page.getByRole('button', { name: 'Check this chapter' }).focus()
  await page.keyboard.press('Enter')
  await expect(page.getByRole('status').filter({ hasText: /\d+ of \d+ checks are green/ })).toBeAttached({ timeout: 60_000 })
  const states = await page.locator('[data-check]').evaluateAll((elements) => elements.map((element) => element.getAttribute('data-check')))
  const checks = chapter.blocks.filter(({ kind }) => kind === 'check')
  expect(states).toHaveLength(checks.length)
  for (const [index, check] of checks.entries()) expect(check.local ? ['unchecked', 'green'] : ['green', 'red']).toContain(states[index])
  await page.reload()
  await expect(page.getByRole('button', { name: 'Begin again' }), 'the progress is kept').toBeVisible()
  await page.goto(`${admin}/workshop/${chapter.place}?notes`)
  await expect(page.getByRole('complementary', { name: 'For instructors' }).first()).toBeVisible()
})

test('a step is copied as it is written', async ({ browser, request }) => {
  const chapter = (await (await request.get(`${admin}/admin/workshop/0`)).json()) as Chapter
  const step = chapter.blocks.find(({ kind, how }) => kind === 'step' && how === 'run')
  const context = await browser.newContext({ permissions: ['clipboard-read', 'clipboard-write'] })
  const page = await context.newPage()
  await page.goto(`${admin}/workshop/0`)
  await page.getByRole('button', { name: 'Copy' }).first().click()
  await expect(page.getByRole('button', { name: 'Copied' })).toBeVisible()
  expect(await page.evaluate(() => navigator.clipboard.readText())).toBe(step?.text)
  await context.close()
})

test('the board shows names as text, those who are stuck first', async ({ browser, request }) => {
  const binary = process.env['KARTSHOPPE_BINARY'] ?? ''
  test.skip(binary === '', 'KARTSHOPPE_BINARY is not set')
  const lead = spawn(binary, ['workshop', 'lead', '--listen', '127.0.0.1:0'], { stdio: ['ignore', 'pipe', 'inherit'] })
  try {
    const lines: string[] = []
    for await (const line of createInterface({ input: lead.stdout })) if (lines.push(line) === 2) break
    const [join = '', board = ''] = lines.map((line) => /http:\/\/\S+/.exec(line)?.[0] ?? '')
    const post = (name: string, passed: number) => request.post(`${join}/result`, { data: { name, step: '1', passed, of: 2, done: passed === 2 } })
    for (const [name, passed] of [['Zoe', 2], ['<img src=x onerror=alert(1)>', 1]] as const) expect((await post(name, passed)).ok()).toBe(true)
    for (const colorScheme of ['light', 'dark'] as const) {
      const context = await browser.newContext({ colorScheme, viewport: { width: 390, height: 800 } })
      const page = await context.newPage()
      const complaints: string[] = []
      page.on('console', (message) => void (['error', 'warning'].includes(message.type()) && complaints.push(message.text())))
      page.on('dialog', (dialog) => complaints.push(dialog.message()))
      await page.goto(board)
      await expect(page.getByRole('rowheader')).toHaveText(['<img src=x onerror=alert(1)>', 'Zoe'])
      await expect(page.getByRole('row', { name: /Zoe/ })).toContainText('✓')
      await isClean(page, 'board')
      await page.goto(join)
      await expect(page.getByText(`kartshoppe workshop join ${join}`)).toBeVisible()
      await isClean(page, 'join')
      expect(await overflow(page)).toBeLessThanOrEqual(0)
      expect(complaints.filter((text) => !text.includes('favicon'))).toEqual([])
      await context.close()
    }
  } finally {
    lead.kill()
  }
})
