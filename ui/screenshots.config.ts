import { defineConfig } from '@playwright/test'

import tests from './playwright.config'

/** Pictures of the pages instead of tests: `make screenshots`. */
export default defineConfig({ ...tests, testMatch: 'screenshots.ts', timeout: 300_000 })
