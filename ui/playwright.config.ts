import { defineConfig } from '@playwright/test'

const url = process.env['KARTSHOPPE_URL']
if (!url) throw new Error('KARTSHOPPE_URL is not set: the address of a running shop, such as http://127.0.0.1:8081')

/** The system's browser: none is downloaded. Root has no user namespace to make a sandbox from. */
const executablePath = process.env['KARTSHOPPE_CHROMIUM'] ?? process.env['CHROMIUM_PATH'] ?? '/usr/bin/chromium'
const sandbox = process.getuid?.() === 0 ? ['--no-sandbox'] : []

export default defineConfig({
  testDir: 'e2e',
  // Takes minutes to fill: `make e2e-large`.
  testIgnore: process.env['KARTSHOPPE_E2E_LARGE'] === 'true' ? [] : 'large.spec.ts',
  // One shop, one stock: the specs take turns.
  workers: 1,
  // A test that passes the second time is counted as flaky (tools/count-tests.mjs).
  retries: 1,
  timeout: 60_000,
  expect: { timeout: 15_000 },
  reporter: 'list',
  use: {
    baseURL: url,
    viewport: { width: 1280, height: 860 },
    trace: 'retain-on-failure',
    launchOptions: {
      executablePath,
      args: [...sandbox, '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-sync'],
    },
  },
})
