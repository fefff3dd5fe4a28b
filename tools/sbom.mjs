// Reads `cargo metadata` on standard input and writes CycloneDX 1.5: the crates that our program is linked or built with, their
// licences and checksums (from Cargo.lock), and who needs whom. What only tests and benchmarks need is left out.
import { readFileSync } from 'node:fs'

const metadata = JSON.parse(readFileSync(0, 'utf8'))
const packages = new Map(metadata.packages.map((each) => [each.id, each]))
const nodes = new Map(metadata.resolve.nodes.map((each) => [each.id, each]))
const lock = readFileSync(new URL('../Cargo.lock', import.meta.url), 'utf8')
const checksums = new Map(
  [...lock.matchAll(/name = "(.*)"\nversion = "(.*)"\nsource = ".*"\nchecksum = "(.*)"/g)].map((found) => [`${found[1]}@${found[2]}`, found[3]]),
)

const needs = (id) =>
  nodes.get(id).deps.filter((dep) => dep.dep_kinds.some((kind) => kind.kind !== 'dev')).map((dep) => dep.pkg)
const reached = new Set()
const open = [metadata.resolve.root]
while (open.length > 0) {
  const id = open.pop()
  if (reached.has(id)) continue
  reached.add(id)
  open.push(...needs(id))
}

const reference = (id) => `pkg:cargo/${packages.get(id).name}@${packages.get(id).version}`
const component = (id, type) => {
  const { name, version, license } = packages.get(id)
  const checksum = checksums.get(`${name}@${version}`)
  return {
    type,
    'bom-ref': reference(id),
    name,
    version,
    purl: reference(id),
    ...(license ? { licenses: [{ expression: license.replaceAll('/', ' OR ') }] } : {}),
    ...(checksum ? { hashes: [{ alg: 'SHA-256', content: checksum }] } : {}),
  }
}
const ours = metadata.resolve.root
const others = [...reached].filter((id) => id !== ours).sort((a, b) => reference(a).localeCompare(reference(b)))
const bom = {
  bomFormat: 'CycloneDX',
  specVersion: '1.5',
  version: 1,
  metadata: { component: component(ours, 'application') },
  components: others.map((id) => component(id, 'library')),
  dependencies: [ours, ...others].map((id) => ({ ref: reference(id), dependsOn: [...new Set(needs(id).map(reference))].sort() })),
}
process.stdout.write(`${JSON.stringify(bom, null, 2)}\n`)
