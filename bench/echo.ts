/**
 * The ceiling: what Node can do at all. Finds the blank line and answers; no policy, no state.
 * Prints its port.
 */

import { type AddressInfo, createServer } from 'node:net'

const ANSWER = 'action=dunno\n\n'

const server = createServer({ noDelay: true }, socket => {
  let unfinished: Buffer = Buffer.alloc(0)
  socket.on('error', () => socket.destroy())
  socket.on('data', (chunk: Buffer) => {
    const bytes = unfinished.length === 0 ? chunk : Buffer.concat([unfinished, chunk])
    let start = 0
    for (let end = bytes.indexOf('\n\n'); end >= 0; end = bytes.indexOf('\n\n', start)) {
      socket.write(ANSWER)
      start = end + 2
    }
    unfinished = bytes.subarray(start)
  })
})

server.listen(0, '127.0.0.1', () => {
  // A TCP server has an address with a port.
  process.stdout.write(`${(server.address() as AddressInfo).port}\n`)
})
