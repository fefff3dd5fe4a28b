import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

import { expect, test, type APIRequestContext, type Page } from '@playwright/test'

import { canRunShop } from './largeShop'
import { ownServer, tokenOf } from './ownServer'

const admin = process.env['KARTSHOPPE_ADMIN_URL'] ?? ''
const shop = process.env['KARTSHOPPE_URL'] ?? ''

/** Runs in the attacker's page: everything that a page can try. What it got is returned. */
async function attack(target: string): Promise<string[]> {
  const got: string[] = []
  const read = async (name: string, path: string, init: RequestInit) => {
    try {
      const answer = await fetch(target + path, init)
      // A page of the same name may see that it was refused.
      if (answer.type !== 'opaque' && answer.status !== 403) got.push(`${name}: ${answer.status}`)
    } catch {
      // Refused, as it must be.
    }
  }
  const marker = { 'x-kartshoppe-operator': 'evil' }
  await read('GET', '/admin/roles', {})
  await read('GET of the page', '/', { credentials: 'include' })
  await read('HEAD', '/admin/roles', { method: 'HEAD' })
  await read('a stream', '/admin/live', {})
  await read('POST with the marker', '/admin/roles/cdc/stop', { method: 'POST', headers: marker })
  await read('POST with the marker in lower case and JSON', '/admin/topics/product-updates/records', { method: 'POST', headers: { ...marker, 'content-type': 'application/json' }, body: '{"value":{}}' })
  await read('simple POST', '/admin/roles/cdc/stop', { method: 'POST', mode: 'no-cors', headers: { 'content-type': 'text/plain' }, body: '{}' })
  await read('DELETE', '/admin/faults', { method: 'DELETE', headers: marker })
  await read('POST that outlives the page', '/admin/roles/cdc/stop', { method: 'POST', keepalive: true, mode: 'no-cors' })
  navigator.sendBeacon(`${target}/admin/roles/cdc/stop`, '{}')
  const loads = (name: string, tag: 'img' | 'script' | 'link' | 'object' | 'video', path: string) =>
    new Promise<void>((done) => {
      const element = document.createElement(tag)
      element.addEventListener('load', () => done(void got.push(name)))
      element.addEventListener('loadeddata', () => done(void got.push(name)))
      element.addEventListener('error', () => done())
      // A refused object may say nothing at all.
      setTimeout(done, 2_000)
      if (element instanceof HTMLLinkElement) Object.assign(element, { rel: 'stylesheet', href: target + path })
      else if (element instanceof HTMLObjectElement) element.data = target + path
      else element.src = target + path
      document.body.append(element)
    })
  await loads('a picture', 'img', '/favicon.svg')
  await loads('a picture of data', 'img', '/admin/roles')
  await loads('a picture that changes something', 'img', '/admin/roles/cdc/stop')
  await loads('data as a script', 'script', '/admin/topics/products/records?limit=1')
  await loads('data as a sheet', 'link', '/admin/roles')
  await loads('data as an object', 'object', '/admin/roles')
  await loads('data as a film', 'video', '/admin/live')
  await import(`${target}/admin/roles`).then(
    () => got.push('a module'),
    () => undefined,
  )
  await new Promise<void>((done) => {
    const source = new EventSource(`${target}/admin/live`)
    source.onopen = () => done(void got.push('an event source'))
    source.onerror = () => done(source.close())
  })
  for (const path of ['/admin/live', '/ws', '/']) {
    await new Promise<void>((done) => {
      const socket = new WebSocket(`${target.replace('http', 'ws')}${path}`)
      socket.onopen = () => done(void got.push(`a socket at ${path}`))
      socket.onerror = () => done()
    })
  }
  await new Promise<void>((done) => {
    const frame = document.createElement('iframe')
    frame.onload = () => {
      try {
        // A frame that was refused is of another origin and cannot be read either.
        if (frame.contentDocument?.body.textContent?.includes('KartShoppe')) got.push('a frame')
      } catch {
        // Of another origin.
      }
      done()
    }
    frame.src = `${target}/topics`
    document.body.append(frame)
  })
  return got
}

/** Sends a form of the attacker's page, as a click in it would. */
async function sendForm(page: Page, action: string, method: string, enctype: string): Promise<number> {
  const answered = page.waitForResponse((answer) => answer.url().split('?')[0] === action && answer.request().isNavigationRequest())
  await page.evaluate(
    ([to, how, as]) => {
      const form = Object.assign(document.createElement('form'), { action: to, method: how, enctype: as })
      form.append(Object.assign(document.createElement('input'), { name: '{"value":{"a":"', value: '"}}' }))
      document.body.append(form)
      form.submit()
    },
    [action, method, enctype] as const,
  )
  const status = (await answered).status()
  await page.waitForURL((url) => url.href.split('?')[0] === action)
  return status
}

async function statesOf(request: APIRequestContext): Promise<string[]> {
  return ((await (await request.get(`${admin}/admin/roles`)).json()) as { name: string; state: string }[]).map(({ name, state }) => `${name} ${state}`)
}

test('a page of another origin or under another name gets nothing and changes nothing', async ({ page, request }) => {
  test.skip(admin === '', 'KARTSHOPPE_ADMIN_URL is not set')
  test.setTimeout(180_000)
  const before = await statesOf(request)
  const attacker = createServer((_, answer) => answer.setHeader('content-type', 'text/html').end('<!doctype html><title>Win a prize</title><body>'))
  await new Promise<void>((listening) => attacker.listen(0, '127.0.0.1', listening))
  const { port } = attacker.address() as AddressInfo
  const target = admin.replace('127.0.0.1', 'localhost')
  try {
    // Of another site, and of the same site on another port; the listener under each of its names.
    for (const host of ['evil.localhost', 'localhost', '127.0.0.1']) {
      for (const reached of [target, admin]) {
        await page.goto(`http://${host}:${port}/`)
        expect(await page.evaluate(attack, reached), `${host} against ${reached}`).toEqual([])
      }
      for (const [method, enctype] of [['post', 'application/x-www-form-urlencoded'], ['post', 'multipart/form-data'], ['post', 'text/plain'], ['get', 'text/plain']] as const) {
        await page.goto(`http://${host}:${port}/`)
        const action = `${target}/admin/${method === 'get' ? 'roles' : 'roles/cdc/stop'}`
        expect(await sendForm(page, action, method, enctype), `${host}: a form by ${method} as ${enctype}`).toBe(403)
      }
    }
    // DNS rebinding: the attacker's name leads to this machine.
    const rebound = target.replace('localhost', 'evil.localhost')
    for (const path of ['/', '/topics', '/admin/roles', '/assets/x.js']) {
      expect((await page.goto(`${rebound}${path}`))?.status(), path).toBe(403)
    }
    // Its page came from that name before: for the browser, all of this is the page's own origin.
    await page.route(`${rebound}/trap`, (route) => route.fulfill({ contentType: 'text/html', body: '<!doctype html><title>Win a prize</title><body>' }))
    await page.goto(`${rebound}/trap`)
    expect(await page.evaluate(attack, rebound), 'after rebinding').toEqual([])
    await page.goto(`${rebound}/trap`)
    expect(await sendForm(page, `${rebound}/admin/roles/cdc/stop`, 'post', 'text/plain')).toBe(403)
    expect(await statesOf(request)).toEqual(before)
  } finally {
    attacker.close()
  }
  for (const path of ['/ops.html', '/topics', '/admin/console']) expect((await request.get(`${shop}${path}`)).status(), `the shop has no ${path}`).toBe(404)
})

test('the console asks for the token, shows what is read-only, and survives that its server is killed', async ({ page }) => {
  test.skip(!canRunShop, 'no binary to start a server of its own from')
  test.setTimeout(180_000)
  const server = await ownServer({ KARTSHOPPE__ADMIN__CREATE_TOKEN: 'true', KARTSHOPPE__ADMIN__WRITES: 'false' })
  try {
    await server.start()
    await page.goto(`${server.admin}/topics`)
    await expect(page.getByRole('heading', { level: 1 })).toContainText('needs the operators’ token')
    await page.getByLabel('Token').fill('not-the-token')
    await page.getByRole('button', { name: 'Use this token' }).click()
    await expect(page.getByRole('heading', { level: 1 })).toContainText('needs the operators’ token')
    await page.getByLabel('Token').fill(tokenOf(server))
    await page.getByRole('button', { name: 'Use this token' }).click()
    await expect(page.locator('[data-topic="products"]')).toBeVisible()

    const link = /http:\/\/localhost:\d+\/#token=\S+/.exec(server.said())?.[0] ?? ''
    const fresh = await page.context().newPage()
    await fresh.goto(link)
    await expect(fresh.locator('[data-role="cdc"]')).toContainText('running')
    expect(fresh.url(), 'the token leaves the address').toBe(`${server.admin}/`)
    await expect(fresh.getByRole('button', { name: 'Stop cdc' })).toBeDisabled()
    await expect(fresh.getByRole('button', { name: 'Stop cdc' })).toHaveAccessibleDescription(/admin\.writes is false/)

    await server.kill()
    const connection = fresh.getByRole('status', { name: 'Connection' })
    await expect(connection).toContainText('The server has not answered since')
    await expect(fresh.locator('[data-role="cdc"]'), 'what was read stays').toBeVisible()
    await server.start()
    await expect(connection).toContainText('The server was restarted at')
    await expect(connection).not.toContainText('gone since')
    await expect(fresh.locator('[data-role="cdc"]')).toContainText('running')
  } finally {
    await server.remove()
  }
})
