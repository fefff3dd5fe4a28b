// node apply.mjs PORT USER DATABASE FILE...: runs SQL files in order on a PostgreSQL of this machine that trusts all connections, each
// file in one transaction. It speaks just enough of the wire protocol (startup, simple query) to need no client program: the
// npm package of the server brings none.
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'

const [port, user, database, ...files] = process.argv.slice(2)

// A message is a type byte (none for the first one), a length that counts itself, and the body.
function message(type, body) {
  const length = Buffer.alloc(4)
  length.writeInt32BE(body.length + 4)
  return Buffer.concat([Buffer.from(type), length, body])
}

const protocol3 = Buffer.from([0, 3, 0, 0])
const startup = message('', Buffer.concat([protocol3, Buffer.from(`user\0${user}\0database\0${database}\0\0`)]))

const socket = connect(Number(port), '127.0.0.1', () => socket.write(startup))
let received = Buffer.alloc(0)
let running = 'the connection'

// The fields of an ErrorResponse are a letter and a text each: severity, SQLSTATE code, message, position and others.
function describe(body) {
  const fields = Object.fromEntries(body.toString().split('\0').filter(Boolean).map((field) => [field[0], field.slice(1)]))
  return `${fields.S} ${fields.C}: ${fields.M}${fields.P ? ` (character ${fields.P})` : ''}`
}

function fail(text) {
  console.error(`kartshoppe: ${running}: ${text}`)
  process.exit(1)
}

function take(type, body) {
  if (type === 'E') fail(describe(body))
  if (type !== 'Z') return // Z: ready for the next query
  running = files.shift()
  if (running === undefined) {
    socket.end(message('X', Buffer.alloc(0)))
    process.exit(0)
  }
  socket.write(message('Q', Buffer.concat([readFileSync(running), Buffer.from([0])])))
}

socket.on('data', (chunk) => {
  received = Buffer.concat([received, chunk])
  while (received.length >= 5 && received.length > received.readInt32BE(1)) {
    const end = received.readInt32BE(1) + 1
    const [type, body] = [String.fromCharCode(received[0]), received.subarray(5, end)]
    received = received.subarray(end)
    take(type, body)
  }
})
socket.on('error', (error) => fail(error.message))
socket.on('close', () => fail('the server closed the connection'))
