// node count-tests.mjs DIRECTORY: adds up what the runners wrote there (cargo.txt, vitest.json, playwright.json) and prints
// `N passed, N failed, N skipped`. A report that is not there counts nothing; the stage that should have written it has failed.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const directory = process.argv[2]
const sum = { passed: 0, failed: 0, skipped: 0 }

function add(name, passed, failed, skipped) {
  console.log(`  ${name.padEnd(10)} ${passed} passed, ${failed} failed, ${skipped} skipped`)
  sum.passed += passed
  sum.failed += failed
  sum.skipped += skipped
}

function read(file) {
  const path = join(directory, file)
  return existsSync(path) ? readFileSync(path, 'utf8') : undefined
}

const vitest = read('vitest.json')
if (vitest !== undefined) {
  const { numPassedTests, numFailedTests, numPendingTests, numTodoTests = 0 } = JSON.parse(vitest)
  add('vitest', numPassedTests, numFailedTests, numPendingTests + numTodoTests)
}

const playwright = read('playwright.json')
if (playwright !== undefined) {
  const { expected, unexpected, flaky, skipped } = JSON.parse(playwright).stats
  // A flaky test failed once: it counts as failed.
  add('playwright', expected, unexpected + flaky, skipped)
}

const cargo = read('cargo.txt')
if (cargo !== undefined) {
  const results = [...cargo.matchAll(/^test result: \S+ (\d+) passed; (\d+) failed; (\d+) ignored/gm)]
  const total = (column) => results.reduce((all, match) => all + Number(match[column]), 0)
  add('cargo', total(1), total(2), total(3))
}

console.log(`${sum.passed} passed, ${sum.failed} failed, ${sum.skipped} skipped`)
