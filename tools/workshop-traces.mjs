// A stand-in for Jaeger in the workshop: takes spans by OTLP over HTTP (port 4318) and answers the two questions that `kartshoppe trace`
// asks of Jaeger's API (port 16686). It keeps the newest 20,000 spans in memory, and nothing else.
import { createServer } from 'node:http'
import { gunzipSync } from 'node:zlib'

const KEPT = 20_000
const LARGEST = 4 * 1024 * 1024
const spans = []

/** The fields of a protobuf message, in order: numbers for varints and fixed integers, bytes for the rest. */
function* fields(bytes) {
  let at = 0
  const varint = () => {
    let value = 0n
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes[at++]
      value |= BigInt(byte & 127) << shift
      if (byte < 128) return value
    }
  }
  while (at < bytes.length) {
    const tag = Number(varint())
    const [number, type] = [tag >> 3, tag & 7]
    if (type === 0) yield [number, varint()]
    else if (type === 1) yield [number, bytes.readBigUInt64LE((at += 8) - 8)]
    else if (type === 5) yield [number, bytes.readUInt32LE((at += 4) - 4)]
    else {
      const length = Number(varint())
      yield [number, bytes.subarray(at, (at += length))]
    }
  }
}

/** `KeyValue` of OTLP: texts, booleans and integers are all that the shop sends. */
function attribute(bytes) {
  let [key, value] = ['', null]
  for (const [number, field] of fields(bytes)) {
    if (number === 1) key = String(field)
    if (number === 2) for (const [kind, held] of fields(field)) value = kind === 1 ? String(held) : kind === 2 ? held === 1n : Number(held)
  }
  return { key, value }
}

function span(bytes, service) {
  const read = { service, tags: [], parent: '', begin: 0n, end: 0n }
  for (const [number, field] of fields(bytes)) {
    if (number === 1) read.trace = field.toString('hex')
    if (number === 2) read.id = field.toString('hex')
    if (number === 4) read.parent = field.toString('hex')
    if (number === 5) read.name = String(field)
    if (number === 7) read.begin = field
    if (number === 8) read.end = field
    if (number === 9) read.tags.push(attribute(field))
  }
  return read
}

/** `ExportTraceServiceRequest`: resources, each with scopes, each with spans. */
function take(bytes) {
  for (const [, resource] of fields(bytes)) {
    let service = 'unknown'
    for (const [number, field] of fields(resource)) {
      if (number === 1) for (const [one, held] of fields(field)) if (one === 1) service = named(attribute(held), service)
      if (number === 2) for (const [one, held] of fields(field)) if (one === 2) spans.push(span(held, service))
    }
  }
  spans.splice(0, spans.length - KEPT)
}

const named = ({ key, value }, service) => (key === 'service.name' ? value : service)

/** A trace in the words of Jaeger's API. */
function trace(id) {
  const own = spans.filter((one) => one.trace === id)
  const services = [...new Set(own.map((one) => one.service))]
  return {
    traceID: id,
    processes: Object.fromEntries(services.map((serviceName, number) => [`p${number}`, { serviceName }])),
    spans: own.map((one) => ({
      traceID: id,
      spanID: one.id,
      operationName: one.name,
      references: one.parent === '' ? [] : [{ refType: 'CHILD_OF', traceID: id, spanID: one.parent }],
      startTime: Number(one.begin / 1000n),
      duration: Number((one.end - one.begin) / 1000n),
      tags: one.tags,
      processID: `p${services.indexOf(one.service)}`,
    })),
  }
}

function answer(url) {
  if (url.pathname === '/api/services') return [...new Set(spans.map((one) => one.service))]
  const wanted = Object.entries(JSON.parse(url.searchParams.get('tags') ?? '{}'))
  const fits = (one) => one.service === url.searchParams.get('service') && wanted.every(([key, value]) => one.tags.some((tag) => tag.key === key && tag.value === value))
  return [...new Set(spans.filter(fits).map((one) => one.trace))].slice(-20).map(trace)
}

createServer((request, response) => {
  const parts = []
  let size = 0
  request.on('data', (part) => {
    if ((size += part.length) > LARGEST) request.destroy()
    else parts.push(part)
  })
  request.on('end', () => {
    try {
      const body = Buffer.concat(parts)
      take(request.headers['content-encoding'] === 'gzip' ? gunzipSync(body, { maxOutputLength: LARGEST }) : body)
      response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end()
    } catch (error) {
      console.error(`not understood: ${error.message}`)
      response.writeHead(400).end()
    }
  })
}).listen(4318, '127.0.0.1', () => console.log('takes spans on http://localhost:4318'))

createServer((request, response) => {
  const url = new URL(request.url, 'http://localhost')
  const known = ['/api/services', '/api/traces'].includes(url.pathname)
  response.writeHead(known ? 200 : 404, { 'content-type': 'application/json' }).end(JSON.stringify({ data: known ? answer(url) : [] }))
}).listen(16686, '127.0.0.1', () => console.log('answers kartshoppe trace on http://localhost:16686'))
