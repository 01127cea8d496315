/**
 * What arrives on an accepted socket, always in the same buffer.
 *
 * For each packet Node makes a buffer of 64 KiB and cuts it down to what came, which is a fifth of
 * what a request costs. A socket that is given a buffer of ours (`onread`, net.Socket) does not; but
 * a server makes its sockets itself, so the connection is moved into one of our making.
 */

import { Socket } from 'node:net'

/** As many bytes as libuv reads at once. */
const buffer = Buffer.allocUnsafeSlow(64 * 1024)

/** A socket has this, and takes it; both are what Node's own modules do, and no types say so. */
interface Moved {
  _handle: object | null
}

/**
 * The socket to go on with, of an accepted one that is paused (`pauseOnConnect`). `receive` must be
 * done with the bytes when it returns.
 */
export function receiveFrom(
  accepted: Socket,
  receive: (bytes: Buffer) => void,
): Socket {
  const before = accepted as Socket & Partial<Moved>
  const handle = before._handle
  if (!handle) {
    // A Node that has no such thing, or a connection that is gone.
    accepted.on('data', receive)
    accepted.resume()
    return accepted
  }
  before._handle = null
  accepted.destroy()
  const options = {
    handle,
    allowHalfOpen: true,
    onread: {
      buffer,
      callback(length: number): boolean {
        receive(buffer.subarray(0, length))
        return true
      },
    },
  }
  const socket = new Socket(options)
  socket.resume()
  return socket
}
