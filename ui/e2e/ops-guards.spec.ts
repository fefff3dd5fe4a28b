import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

import { expect, test, type APIRequestContext } from '@playwright/test'

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
      if (answer.type !== 'opaque') got.push(`${name}: ${answer.status}`)
    } catch {
      // Refused, as it must be.
    }
  }
  await read('GET', '/admin/roles', {})
  await read('GET of the page', '/', { credentials: 'include' })
  await read('POST with the marker', '/admin/roles/cdc/stop', { method: 'POST', headers: { 'x-kartshoppe-operator': 'evil' } })
  await read('simple POST', '/admin/roles/cdc/stop', { method: 'POST', mode: 'no-cors', headers: { 'content-type': 'text/plain' }, body: '{}' })
  await read('DELETE', '/admin/faults', { method: 'DELETE' })
  const loads = (name: string, tag: 'img' | 'script', path: string) =>
    new Promise<void>((done) => {
      const element = document.createElement(tag)
      element.onload = () => done(void got.push(name))
      element.onerror = () => done()
      element.src = target + path
      document.body.append(element)
    })
  await loads('a picture', 'img', '/favicon.svg')
  await loads('a picture of data', 'img', '/admin/roles')
  await loads('data as a script', 'script', '/admin/topics/products/records?limit=1')
  await new Promise<void>((done) => {
    const socket = new WebSocket(`${target.replace('http', 'ws')}/admin/live`)
    socket.onopen = () => done(void got.push('a socket'))
    socket.onerror = () => done()
  })
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

async function statesOf(request: APIRequestContext): Promise<string[]> {
  return ((await (await request.get(`${admin}/admin/roles`)).json()) as { name: string; state: string }[]).map(({ name, state }) => `${name} ${state}`)
}

test('a page of another origin or under another name gets nothing and changes nothing', async ({ page, request }) => {
  test.skip(admin === '', 'KARTSHOPPE_ADMIN_URL is not set')
  const before = await statesOf(request)
  const attacker = createServer((_, answer) => answer.setHeader('content-type', 'text/html').end('<!doctype html><title>Win a prize</title><body>'))
  await new Promise<void>((listening) => attacker.listen(0, '127.0.0.1', listening))
  const { port } = attacker.address() as AddressInfo
  const target = admin.replace('127.0.0.1', 'localhost')
  try {
    // Of another site, and of the same site on another port.
    for (const host of ['evil.localhost', 'localhost']) {
      await page.goto(`http://${host}:${port}/`)
      expect(await page.evaluate(attack, target), host).toEqual([])
      const posted = page.waitForResponse((answer) => answer.url().includes('/admin/roles/cdc/stop') && answer.request().isNavigationRequest())
      await page.evaluate((action) => {
        const form = Object.assign(document.createElement('form'), { action, method: 'POST' })
        document.body.append(form)
        form.submit()
      }, `${target}/admin/roles/cdc/stop`)
      expect((await posted).status(), `${host}: a form`).toBe(403)
      await page.waitForURL('**/admin/roles/cdc/stop')
    }
    // DNS rebinding: the attacker's name leads to this machine.
    for (const path of ['/', '/topics', '/admin/roles', '/assets/x.js']) {
      expect((await page.goto(`${target.replace('localhost', 'evil.localhost')}${path}`))?.status(), path).toBe(403)
    }
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
