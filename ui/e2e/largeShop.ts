import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { existsSync, mkdtempSync, readFileSync, writeFileSync, chmodSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'

/** The binary that the browser tests run against; `tools/e2e.sh` knows the same name. */
export const BINARY = process.env['KARTSHOPPE_BIN'] ?? resolve(import.meta.dirname, '../../target/debug/kartshoppe')
const SHELVES = ['Attic', 'Bakery', 'Cellar', 'Deck', 'Engine', 'Forge', 'Garden', 'Harbour']

export const canRunShop = existsSync(BINARY)

/** Settings of a server beside others on the same broker: topics of its own, as a database belongs to one log. */
export function ownTopics(): Record<string, string> {
  return process.env['KARTSHOPPE__LOG__KIND'] === 'kafka' ? { KARTSHOPPE__KAFKA__TOPIC_PREFIX: `own-${randomUUID()}-` } : {}
}

export type LargeShop = { url: string; stop: () => Promise<void> }

/** A shop of its own with so many products, for what must not be done to the one that the other specs share. */
export async function largeShop(products: number): Promise<LargeShop> {
  const work = mkdtempSync(join(tmpdir(), 'kartshoppe-large-'))
  // The private PostgreSQL of a server that runs as root runs as another user, who must get through here.
  chmodSync(work, 0o711)
  const catalogue = join(work, 'products.json')
  writeFileSync(catalogue, JSON.stringify(Array.from({ length: products }, (_, nth) => productOf(nth))))
  const server = spawn(BINARY, ['serve'], {
    cwd: resolve(import.meta.dirname, '../..'),
    stdio: 'ignore',
    env: {
      ...process.env,
      ...ownTopics(),
      KARTSHOPPE__DATA_DIR: join(work, 'data'),
      KARTSHOPPE__INVENTORY__BOOTSTRAP_FILE: catalogue,
      KARTSHOPPE__HTTP__LISTEN: '127.0.0.1:0',
      KARTSHOPPE__ADMIN__LISTEN: '127.0.0.1:0',
    },
  })
  const stop = async () => {
    if (server.exitCode === null) {
      server.kill('SIGTERM')
      await new Promise((ended) => server.once('exit', ended))
    }
    deleteWork(work)
  }
  try {
    return { url: await addressOf(server, join(work, 'data', 'server.json'), products), stop }
  } catch (error) {
    await stop()
    throw error
  }
}

/** Deletes a server's folder, and its database, which lies elsewhere where root runs this. */
export function deleteWork(work: string): void {
  execFileSync(resolve(import.meta.dirname, '../../tools/delete-work.sh'), [work], { stdio: 'inherit' })
}

export function productOf(nth: number) {
  const number = String(nth + 1).padStart(6, '0')
  return { productId: `BULK_${number}`, name: `Bulk Thing ${number}`, description: 'One of many.', category: SHELVES[nth % SHELVES.length], brand: `Maker ${nth % 37}`, price: 5 + (nth % 900), inventory: 20 + (nth % 300), imageUrl: '', tags: ['bulk'], rating: 3 + (nth % 20) / 10, reviewCount: nth % 700 }
}

/** The shop's address, once it sells everything. */
async function addressOf(server: ChildProcess, file: string, products: number): Promise<string> {
  while (server.exitCode === null) {
    await new Promise((after) => setTimeout(after, 200))
    try {
      const { http } = JSON.parse(readFileSync(file, 'utf8')) as { http: string }
      const answer = await fetch(`http://${http}/api/ecommerce/products?limit=1`)
      if (Number(answer.headers.get('x-total-count')) === products) return `http://${http}`
    } catch {
      // Not there yet.
    }
  }
  throw new Error(`the shop ended with status ${server.exitCode}`)
}
