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

/** Who is given what arrives, and must be done with it when `receive` returns. */
export interface Receiver {
  /** The first `length` bytes are new. */
  receive(bytes: Buffer, length: number): void
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
 * What of a connection each answer needs is one small object: of a thousand connections nothing is in
 * the processor's cache, and a stream of Node is many.
 */
export class DirectSocket {
  /** For everything but receiving and sending. */
  readonly socket: Socket
  /** Negative: all goes through the stream. */
  readonly #fd: number
  #isOpen = true
  #isBehind = false

  /** Takes over an accepted socket that is paused (`pauseOnConnect`). */
  constructor(accepted: Socket, receiver: Receiver) {
    const handle = takeHandle(accepted)
    this.#fd = handle?.fd ?? -1
    if (handle) {
      const callback = (length: number): boolean => {
        receiver.receive(buffer, length)
        return true
      }
      const options: object = { handle, allowHalfOpen: true, onread: { buffer, callback } }
      this.socket = new MovedSocket(options, () => {
        this.#isOpen = false
      })
    } else {
      this.socket = accepted
      accepted.on('data', (bytes: Buffer) => receiver.receive(bytes, bytes.length))
    }
    this.socket.resume()
  }

  /** May something be sent? Not once it is gone, or was ended here. */
  get isOpen(): boolean {
    return this.#fd < 0 ? this.socket.writable : this.#isOpen
  }

  send(bytes: Buffer): void {
    if (!this.isOpen) return
    this.#isBehind &&= this.socket.writableLength > 0
    const sent = this.#isBehind || this.#fd < 0 ? 0 : write(this.#fd, bytes)
    if (sent === bytes.length) return
    this.#isBehind = true
    this.socket.write(bytes.subarray(sent))
  }

  /** Bytes that the kernel has not taken yet. */
  get unsent(): number {
    return this.#isBehind ? this.socket.writableLength : 0
  }

  /** Nothing more is sent; what the peer sends is received until it ends, too. */
  end(): void {
    this.#isOpen = false
    this.socket.end()
  }
}

/** Undefined: of a Node that has no such thing, or of a connection that is gone. */
function takeHandle(accepted: Socket & { _handle?: Handle | null }): Handle | undefined {
  const { _handle: handle } = accepted
  if (!handle) return undefined
  accepted._handle = null
  accepted.destroy()
  return handle
}

/** How many bytes went. None, if the peer does not read; of whatever else is wrong the stream hears itself. */
function write(fd: number, bytes: Buffer): number {
  try {
    return writeSync(fd, bytes)
  } catch {
    return 0
  }
}
