/**
 * An accepted connection without what a stream of Node costs per packet.
 *
 * For each packet Node makes a buffer of 64 KiB, and cuts it down to what came. A socket that is given
 * a buffer (`onread`, net.Socket) does not; but a server makes its sockets itself, so the connection
 * is moved into one of our making. Answers go straight to the kernel, which takes nearly every one
 * whole; only what it leaves waits in the stream.
 */

import { writeSync } from 'node:fs'
import { Socket } from 'node:net'

/** As many bytes as libuv reads at once. */
const buffer = Buffer.allocUnsafeSlow(64 * 1024)

/** What a socket of Node's has and takes, though its types do not say so. */
interface Handle {
  readonly fd?: number
}

export interface DirectSocket {
  /** For everything but receiving and sending. */
  readonly socket: Socket
  send(bytes: Buffer): void
}

/**
 * Goes on with an accepted socket that is paused (`pauseOnConnect`). `receive` is given bytes and
 * how many of them came, and must be done with them when it returns.
 */
export function directSocket(
  accepted: Socket,
  receive: (bytes: Buffer, length: number) => void,
): DirectSocket {
  const before = accepted as Socket & { _handle?: Handle | null }
  const handle = before._handle
  if (!handle) {
    // A Node that has no such thing, or a connection that is gone.
    accepted.on('data', (bytes: Buffer) => receive(bytes, bytes.length))
    accepted.resume()
    return { socket: accepted, send: bytes => accepted.write(bytes) }
  }
  before._handle = null
  accepted.destroy()
  const options: object = {
    handle,
    allowHalfOpen: true,
    onread: {
      buffer,
      callback(length: number): boolean {
        receive(buffer, length)
        return true
      },
    },
  }
  const socket = new Socket(options)
  socket.resume()
  const { fd = -1 } = handle
  return {
    socket,
    send(bytes) {
      const sent = socket.writableLength === 0 && fd >= 0 ? write(fd, bytes) : 0
      if (sent < bytes.length) socket.write(bytes.subarray(sent))
    },
  }
}

/** How many bytes went. None, if the peer does not read; of whatever else is wrong the stream hears itself. */
function write(fd: number, bytes: Buffer): number {
  try {
    return writeSync(fd, bytes)
  } catch {
    return 0
  }
}
