// node run.mjs WORK HTTP_PORT ADMIN_PORT [CHAPTERS]: what tools/workshop.sh runs. `kartshoppe` is the first on the PATH.
import { spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

const [work, http, admin, selection] = process.argv.slice(2)
/** How long a step may take, a shop until it is ready or has ended, and a check until it is true. */
const STEP_MS = 300_000
const READY_S = 180
const STOP_MS = 60_000
const GREEN_WAIT = '60s'
const CI = process.env.CI === 'true'

/** Background steps that run, by name. */
const running = new Map()
const say = (text) => console.error(`workshop: ${text}`)
const lastLines = (text, count = 15) => text.trimEnd().split('\n').slice(-count).join('\n')

/** The step with this run's ports and data directory. */
function adapted(text) {
  return text
    .replace(/\b(localhost|127\.0\.0\.1):8081\b/g, `$1:${http}`)
    .replace(/\b(localhost|127\.0\.0\.1):9464\b/g, `$1:${admin}`)
    .replace(/(^|[\s"'=(:])(?:\.\/)?\.kartshoppe(-[a-z]+)?(?=[\s/"');:]|$)/gm, (_, before, other) => `${before}${join(work, `data${other ?? ''}`)}`)
}

function start(command, args, stdio) {
  return spawn(command, args, { stdio, detached: true })
}

/** Ends a process group: first as Ctrl-C does. */
async function end(child, signal = 'SIGINT') {
  const tell = (what) => {
    try {
      process.kill(-child.pid, what)
      return true
    } catch {
      return false
    }
  }
  tell(signal)
  const limit = Date.now() + STOP_MS
  // The signal 0 asks whether the group still has a process.
  while (tell(0) && Date.now() < limit) await sleep(50)
  if (tell('SIGKILL')) throw new Error(`it did not end within ${STOP_MS / 1000} s`)
}

/** Runs a command to its end: its status, and what it printed. */
async function run(command, args) {
  const child = start(command, args, ['ignore', 'pipe', 'pipe'])
  let output = ''
  let errors = ''
  child.stdout.on('data', (data) => (output += data))
  child.stderr.on('data', (data) => (errors += data))
  const limit = setTimeout(() => void end(child, 'SIGKILL').catch(() => {}), STEP_MS)
  const status = await new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', resolve)
  })
  clearTimeout(limit)
  return { status, output, errors }
}

/** The shop that a background step starts is ready when its data directory says so. */
async function untilReady(name, { child, log, text }) {
  const data = /KARTSHOPPE__DATA_DIR=["']?([^\s"']+)/.exec(text)?.[1] ?? (/make run-kafka/.test(text) ? join(work, 'data-kafka') : process.env.KARTSHOPPE__DATA_DIR)
  const limit = Date.now() + READY_S * 1000
  while (Date.now() < limit) {
    if (child.exitCode !== null) throw new Error(`${name} ended before it was ready:\n${lastLines(readFileSync(log, 'utf8'))}`)
    try {
      const server = JSON.parse(readFileSync(join(data, 'server.json'), 'utf8'))
      process.kill(server.pid, 0)
      if ((await fetch(`http://${server.admin}/readyz`, { signal: AbortSignal.timeout(5000) })).ok) return
    } catch {
      // Not yet.
    }
    await sleep(100)
  }
  throw new Error(`${name} was not ready after ${READY_S} s:\n${lastLines(readFileSync(log, 'utf8'))}`)
}

async function startBackground(name, text) {
  const previous = running.get(name)
  // One that was killed by a step has ended by itself; one that runs cannot run twice.
  if (previous && previous.child.exitCode === null && previous.child.signalCode === null) throw new Error(`the background step ${name} runs already`)
  if (previous) await end(previous.child)
  const log = join(work, `background-${name}.log`)
  const file = openSync(log, 'a')
  const child = start('bash', ['-euo', 'pipefail', '-c', text], ['ignore', file, file])
  closeSync(file)
  running.set(name, { child, log, text })
  if (/make run|tools\/run\.sh|kartshoppe serve/.test(text)) await untilReady(name, running.get(name))
}

async function step({ name, kind, stop, text }) {
  const shown = `${kind === 'run' ? '' : `(${kind}) `}${text.split('\n')[0]}`
  try {
    if (kind === 'stop') {
      if (!running.has(stop)) throw new Error(`no background step ${stop} runs`)
      await end(running.get(stop).child)
      running.delete(stop)
    } else if (kind === 'background') {
      await startBackground(name, adapted(text))
    } else {
      const { status, output, errors } = await run('bash', ['-euo', 'pipefail', '-c', adapted(text)])
      if (kind === 'refused') {
        if (status === 0) throw new Error(`it was not refused\n${lastLines(output + errors)}`)
      } else if (status !== 0) throw new Error(`it ended with ${status ?? 'a signal, or took too long'}\n${lastLines(output + errors)}`)
    }
  } catch (error) {
    throw new Error(`step ${name ?? ''} \`${shown}\`: ${error.message}`)
  }
}

/** What the checks find, by name. */
async function check(number, wait) {
  const { output, errors } = await run('kartshoppe', ['workshop', 'check', String(number), '--wait', wait, '--json'])
  try {
    return JSON.parse(output).checks
  } catch {
    throw new Error(`kartshoppe workshop check ${number}: ${errors || output}`)
  }
}

async function judged(chapter) {
  const opened = await run('kartshoppe', ['workshop', 'open', String(chapter.number)])
  if (opened.status !== 0) throw new Error(opened.errors)
  const always = new Set(chapter.checks.filter((known) => known.always).map((known) => known.name))
  const early = (await check(chapter.number, '0s')).filter(({ name, state }) => state === 'green' && !always.has(name))
  if (early.length > 0) throw new Error(`true before the first step: ${early.map(({ name }) => name).join('; ')}`)
  for (const each of chapter.steps) await step(each)
  const open = (await check(chapter.number, GREEN_WAIT)).filter(({ state }) => state !== 'green')
  if (open.length > 0) throw new Error(`not true after the last step:\n${open.map(({ name, state, missing, detail }) => `  ${state}: ${name}. ${missing} (${detail ?? ''})`).join('\n')}`)
}

/** Which chapters are asked for; null: all that any machine can do. */
function selected(text) {
  if (!text) return null
  const parts = text.split(',').map((part) => /^(\d+)(?:-(\d+))?$/.exec(part.trim()))
  if (parts.includes(null)) throw new Error(`${text}: name chapters as in 3, 1-7 or 0-4,9`)
  const ranges = parts.map(([, from, to]) => [Number(from), Number(to ?? from)])
  return (number) => ranges.some(([from, to]) => number >= from && number <= to)
}

const seconds = (since) => ((Date.now() - since) / 1000).toFixed(1)
const started = Date.now()
const rows = []
let failed = false

async function follow(chapters, wanted) {
  const last = wanted === null ? Infinity : Math.max(...chapters.filter(({ number }) => wanted(number)).map(({ number }) => number))
  for (const chapter of chapters) {
    const { number, title, needs, ci, steps, checks } = chapter
    const row = { chapter: number, title, steps: steps.length, checks: checks.length, seconds: '', result: '' }
    if (number > last) return
    rows.push(row)
    const isAsked = wanted?.(number) ?? false
    if (failed) row.result = 'not run'
    else if (!isAsked && needs.length > 0) row.result = `left out: needs ${needs.join(', ')}; ARGS=${number}`
    else if (!isAsked && !ci && (CI || wanted !== null)) row.result = `left out: long; ARGS=${number}`
    else {
      const since = Date.now()
      try {
        if (wanted === null || isAsked) {
          await judged(chapter)
          row.result = 'false before, true after'
        } else {
          for (const each of steps) await step(each)
          row.result = 'followed only'
        }
      } catch (error) {
        failed = true
        row.result = 'FAILED'
        say(`chapter ${number}: ${error.message}`)
        for (const [name, { log }] of running) say(`the last words of ${name}:\n${lastLines(readFileSync(log, 'utf8'), 25)}`)
      }
      row.seconds = seconds(since)
    }
  }
}

async function endAll() {
  for (const [name, { child }] of [...running].reverse()) {
    await end(child).catch((error) => {
      failed = true
      say(`${name}: ${error.message}`)
    })
  }
}

function table() {
  const width = Math.max(...rows.map(({ title }) => title.length))
  console.log(`\n${'chapter'.padEnd(width + 5)} steps checks seconds  result`)
  for (const row of rows) {
    console.log(`${String(row.chapter).padStart(2)} · ${row.title.padEnd(width)} ${String(row.steps).padStart(5)} ${String(row.checks).padStart(6)} ${row.seconds.padStart(7)}  ${row.result}`)
  }
  console.log(`${(Number(seconds(started)) / 60).toFixed(1)} minutes in all`)
}

for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => void endAll().finally(() => process.exit(130)))
try {
  const script = await run('kartshoppe', ['workshop', 'script'])
  if (script.status !== 0) throw new Error(script.errors)
  const [chapters, wanted] = [JSON.parse(script.output), selected(selection)]
  if (chapters.length === 0 || (wanted && !chapters.some(({ number }) => wanted(number)))) throw new Error('there is no such chapter')
  await follow(chapters, wanted)
} catch (error) {
  failed = true
  say(error.message)
}
await endAll()
if (rows.length > 0) table()
process.exit(failed ? 1 : 0)
