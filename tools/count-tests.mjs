// node count-tests.mjs DIRECTORY STAGE...: adds up what the runners wrote there (cargo.txt, vitest.json, playwright.json) and
// prints `N passed, N failed, N skipped`. The stages named are those that failed: if no failed test explains it (the build
// broke, the server did not start), the stage itself counts as one.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const [directory, ...brokenStages] = process.argv.slice(2)
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
  // Tests that another test runs in a process of its own, to kill it, are no tests left out.
  const parts = [...cargo.matchAll(/^test \S+ \.\.\. ignored, .*child's part/gm)].length
  // What needs Kafka passes without having run where Kafka cannot be had, and says so.
  const without = [...cargo.matchAll(/kartshoppe: SKIPPED test /g)].length
  add('cargo', total(1) - without, total(2), total(3) - parts + without)
}

if (sum.failed < brokenStages.length) sum.failed = brokenStages.length
console.log(`${sum.passed} passed, ${sum.failed} failed, ${sum.skipped} skipped`)
