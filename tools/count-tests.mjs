// node count-tests.mjs DIRECTORY STAGE...: adds up what the runners wrote there (cargo.txt, vitest.json, playwright.json) and
// prints `N passed, N failed, N skipped`, and how many of those that passed are flaky: they failed first. The stages named are those that failed: if no failed test explains it (the build
// broke, the server did not start), the stage itself counts as one.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const [directory, ...brokenStages] = process.argv.slice(2)
const sum = { passed: 0, failed: 0, skipped: 0, flaky: 0 }

function add(name, passed, failed, skipped, flaky = 0) {
  console.log(`  ${name.padEnd(10)} ${passed} passed, ${failed} failed, ${skipped} skipped${flaky > 0 ? `, ${flaky} flaky` : ''}`)
  sum.flaky += flaky
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
  add('playwright', expected + flaky, unexpected, skipped, flaky)
}

const cargo = read('cargo.txt')
if (cargo !== undefined) {
  const results = [...cargo.matchAll(/^test result: \S+ (\d+) passed; (\d+) failed; (\d+) ignored/gm)]
  const total = (column) => results.reduce((all, match) => all + Number(match[column]), 0)
  // Tests that another test runs in a process of its own, to kill it, are no tests left out.
  const parts = [...cargo.matchAll(/^test \S+ \.\.\. ignored, .*child's part/gm)].length
  // What needs Kafka passes without having run where Kafka cannot be had, and says so.
  const without = [...cargo.matchAll(/kartshoppe: SKIPPED test /g)].length
  const flaky = read('flaky.txt')?.trim().split('\n').length ?? 0
  add('cargo', total(1) - without + flaky, total(2) - flaky, total(3) - parts + without, flaky)
}

if (sum.failed < brokenStages.length) sum.failed = brokenStages.length
if (sum.flaky > 0) console.log(`${sum.flaky} flaky: mend them`)
console.log(`${sum.passed} passed, ${sum.failed} failed, ${sum.skipped} skipped`)
