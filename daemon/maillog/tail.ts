/** An open log file that grows, read in steps from where the last one ended. */

import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { Lines } from './lines.ts'

/** Bytes that are read, and parsed, in one step. */
const CHUNK_BYTES = 64 * 1024
/** Read of what is there already when it is opened. */
const MOST_READ_BACK_BYTES = 16 * 1024 * 1024
/** What was read last is compared: a file that was emptied and filled again is another one. */
const OVERLAP_BYTES = 64

export class Tail {
  readonly device: number
  readonly inode: number
  readonly #handle: FileHandle
  readonly #lines = new Lines()
  readonly #buffer = Buffer.allocUnsafe(OVERLAP_BYTES + CHUNK_BYTES)
  #position: number
  /** The bytes before `#position`. */
  #before = Buffer.alloc(0)

  /** Rejects if it cannot be read, or is not a regular file. */
  static async open(path: string): Promise<Tail> {
    // A named pipe would keep the process waiting for a process that writes to it.
    const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
    try {
      const { dev, ino, size } = await handle.stat()
      if (!(await handle.stat()).isFile()) throw new Error('not a regular file')
      return new Tail(handle, dev, ino, Math.max(0, size - MOST_READ_BACK_BYTES))
    } catch (error) {
      await handle.close()
      throw error
    }
  }

  private constructor(handle: FileHandle, device: number, inode: number, from: number) {
    this.#handle = handle
    this.device = device
    this.inode = inode
    this.#position = from
    if (from > 0) this.#lines.skipLine()
  }

  /** The next lines, from at most 64 KiB; undefined: nothing has been added. */
  async read(): Promise<readonly string[] | undefined> {
    const { size } = await this.#handle.stat()
    if (size < this.#position) this.#startAnew()
    if (size === this.#position) return undefined
    const overlap = this.#before.length
    const { bytesRead } = await this.#handle.read(
      this.#buffer,
      0,
      overlap + CHUNK_BYTES,
      this.#position - overlap,
    )
    const read = this.#buffer.subarray(0, bytesRead)
    if (!read.subarray(0, overlap).equals(this.#before)) {
      this.#startAnew()
      return []
    }
    if (bytesRead === overlap) return undefined
    this.#position += bytesRead - overlap
    this.#before = Buffer.from(read.subarray(-OVERLAP_BYTES))
    return this.#lines.push(read.subarray(overlap))
  }

  close(): Promise<void> {
    return this.#handle.close()
  }

  #startAnew(): void {
    this.#position = 0
    this.#before = Buffer.alloc(0)
    this.#lines.startAnew()
  }
}
