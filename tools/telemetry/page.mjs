// node page.mjs ws://…: a page that reads whatever it is sent, until it is killed. Node 20 has no WebSocket of its own.
import { randomBytes } from 'node:crypto'
import { connect } from 'node:net'

const url = new URL(process.argv[2])
const socket = connect(Number(url.port), url.hostname, () => {
  socket.write(
    `GET ${url.pathname} HTTP/1.1\r\nHost: ${url.host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
      `Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\nSec-WebSocket-Version: 13\r\n\r\n`,
  )
})
socket.on('data', () => {})
socket.on('error', (error) => {
  console.error(error.message)
  process.exit(1)
})
