import { spawn, type ChildProcess } from 'node:child_process'
import { chmodSync, mkdtempSync, readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'

import { BINARY, deleteWork, ownTopics } from './largeShop'

/** A server of its own on addresses that it keeps: killed and started again while a page is open. */
export type OwnServer = { url: string; admin: string; data: string; said: () => string; start: () => Promise<void>; kill: () => Promise<void>; remove: () => Promise<void> }

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  const address = server.address()
  await new Promise((closed) => server.close(closed))
  return typeof address === 'object' && address !== null ? address.port : 0
}

export async function ownServer(environment: Record<string, string>): Promise<OwnServer> {
  const work = mkdtempSync(join(tmpdir(), 'kartshoppe-own-'))
  // The private PostgreSQL of a server that runs as root runs as another user, who must get through here.
  chmodSync(work, 0o711)
  const [http, admin] = [await freePort(), await freePort()]
  const data = join(work, 'data')
  const topics = ownTopics()
  let child: ChildProcess | null = null
  let said = ''
  const start = async () => {
    const started = spawn(BINARY, ['serve'], {
      cwd: resolve(import.meta.dirname, '../..'),
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, KARTSHOPPE__DATA_DIR: data, KARTSHOPPE__HTTP__LISTEN: `127.0.0.1:${http}`, KARTSHOPPE__ADMIN__LISTEN: `127.0.0.1:${admin}`, ...topics, ...environment },
    })
    child = started
    started.stderr.on('data', (text: Buffer) => (said += text.toString()))
    while (started.exitCode === null) {
      const answer = await fetch(`http://127.0.0.1:${admin}/readyz`).catch(() => null)
      if (answer?.ok) return
      await new Promise((after) => setTimeout(after, 100))
    }
    throw new Error(`the server ended with status ${started.exitCode}: ${said}`)
  }
  const end = async (signal: 'SIGTERM' | 'SIGKILL') => {
    const ending = child
    child = null
    if (ending === null || ending.exitCode !== null) return
    const ended = new Promise((done) => ending.once('exit', done))
    ending.kill(signal)
    await ended
  }
  const remove = async () => {
    await end('SIGTERM')
    deleteWork(work)
  }
  return { url: `http://localhost:${http}`, admin: `http://localhost:${admin}`, data, said: () => said, start, kill: () => end('SIGKILL'), remove }
}

/** The token of such a server. */
export function tokenOf({ data }: OwnServer): string {
  return readFileSync(join(data, 'operator.token'), 'utf8').trim()
}
