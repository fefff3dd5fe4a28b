// node wait-ready.mjs DATA_DIR PID SECONDS: waits until the server with this PID answers /readyz with 200, and prints the
// shop's address. It reads the address from DATA_DIR/server.json, which a running server writes.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

const [dataDir, pidText, secondsText] = process.argv.slice(2)
const pid = Number(pidText)
const deadline = Date.now() + Number(secondsText) * 1000
let reason = `nothing in ${join(dataDir, 'server.json')} yet`

function isAlive() {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error.code === 'EPERM'
  }
}

// The file of an earlier, killed server may still be there: only the one with our PID counts.
function address() {
  try {
    const server = JSON.parse(readFileSync(join(dataDir, 'server.json'), 'utf8'))
    return server.pid === pid ? (server.http ?? server.admin) : undefined
  } catch {
    return undefined
  }
}

async function isReady(listen) {
  try {
    const answer = await fetch(`http://${listen}/readyz`, { signal: AbortSignal.timeout(5000) })
    reason = `/readyz says ${answer.status}: ${(await answer.text()).slice(0, 500)}`
    return answer.ok
  } catch (error) {
    reason = `/readyz does not answer: ${error.cause?.message ?? error.message}`
    return false
  }
}

while (isAlive() && Date.now() < deadline) {
  const listen = address()
  if (listen !== undefined && (await isReady(listen))) {
    console.log(`http://${listen.replace(/^(127\.0\.0\.1|0\.0\.0\.0|\[::1?\])(?=:)/, 'localhost')}`)
    process.exit(0)
  }
  await sleep(50)
}
// A server that ended has said why itself.
if (isAlive()) console.error(`kartshoppe: not ready after ${secondsText} s: ${reason}`)
process.exit(1)
