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
  /** May something be sent? Not once it is gone, or was ended here. */
  isOpen(): boolean
  send(bytes: Buffer): void
  /** Bytes that the kernel has not taken yet. */
  unsent(): number
  /** Nothing more is sent; what the peer sends is received until it ends, too. */
  end(): void
}

/** Says at once when it is destroyed: its descriptor may be another connection's before it is heard of. */
class MovedSocket extends Socket {
  readonly #gone: () => void

  constructor(options: object, gone: () => void) {
    super(options)
    this.#gone = gone
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#gone()
    super._destroy(error, done)
  }
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
    return {
      socket: accepted,
      isOpen: () => accepted.writable,
      send: bytes => accepted.write(bytes),
      unsent: () => accepted.writableLength,
      end: () => accepted.end(),
    }
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
  // Known here, so that an answer need not look into the stream: of a thousand connections none of
  // that is in the processor's cache.
  let isOpen = true
  let isBehind = false
  const socket = new MovedSocket(options, () => {
    isOpen = false
  })
  socket.resume()
  const { fd = -1 } = handle
  return {
    socket,
    isOpen: () => isOpen,
    send(bytes) {
      if (!isOpen) return
      isBehind &&= socket.writableLength > 0
      const sent = isBehind || fd < 0 ? 0 : write(fd, bytes)
      if (sent === bytes.length) return
      isBehind = true
      socket.write(bytes.subarray(sent))
    },
    unsent: () => (isBehind ? socket.writableLength : 0),
    end() {
      isOpen = false
      socket.end()
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
