/**
 * The alerts' file: records are appended, and are on the disk (fdatasync) before what depends on them
 * happens. All of it is done by libuv's threads; nothing here waits on the thread that answers requests.
 *
 * Where it cannot be written, alerts are delivered from memory, and the next append tries again.
 */

import type { FileHandle } from 'node:fs/promises'
import { constants, open, readFile, rename, rm, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { describeError } from '../system/errors.ts'
import { makeFolder } from '../system/made-folder.ts'
import { type AlertRecord, lineOf, readLines } from './lines.ts'

/** Rewritten with what still matters once it has grown by that. */
const COMPACTED_BYTES = 4 << 20
/** A file that is larger is read from there to its end only. */
const LARGEST_READ_BYTES = 64 << 20
/** Records that wait for the disk; beyond, the oldest are kept in memory only. */
const MOST_UNWRITTEN = 20_000
const MODE = 0o640
const FOLDER_MODE = 0o750

export interface JournalOptions {
  readonly path: string
  /** What still matters, when the file is rewritten. */
  readonly live: () => Iterable<AlertRecord>
  /** Not for each attempt: once when it fails, once when it works again. */
  readonly log: (message: string) => void
}

interface Unwritten {
  readonly line: string
  readonly written: () => void
  /** After it, the file is rewritten. */
  readonly isRenewal: boolean
}

export class Journal {
  readonly #options: JournalOptions
  #handle: FileHandle | undefined
  #unwritten: Unwritten[] = []
  #isWriting: Promise<void> | undefined
  #bytes = 0
  /** Its size when it was last rewritten. */
  #liveBytes = 0
  /** The last write may have left the beginning of a line. */
  #isTorn = false
  #problem: string | undefined

  constructor(options: JournalOptions) {
    this.#options = options
  }

  /** Why nothing is written at present. */
  get problem(): string | undefined {
    return this.#problem
  }

  /** What was written before; to be called once, first. Never rejects. */
  async read(): Promise<readonly AlertRecord[]> {
    const { path, log } = this.#options
    try {
      makeFolder(dirname(path), FOLDER_MODE)
      const text = await textOf(path)
      this.#bytes = Buffer.byteLength(text)
      this.#isTorn = text !== '' && !text.endsWith('\n')
      const { records, damaged } = readLines(text)
      if (damaged > 0) log(`${path}: ${damaged} damaged lines were left out`)
      return records
    } catch (error) {
      this.#failed(error)
      return []
    }
  }

  /** Resolves when it is on the disk, or cannot be put there. Never rejects. */
  append(record: AlertRecord, isRenewal = false): Promise<void> {
    return new Promise(resolve => {
      this.#unwritten.push({ line: lineOf(record), written: resolve, isRenewal })
      if (this.#unwritten.length > MOST_UNWRITTEN) this.#unwritten.shift()?.written()
      this.#isWriting ??= this.#write().finally(() => {
        this.#isWriting = undefined
      })
    })
  }

  /** Rewrites the file with what is live now. Never rejects. */
  renew(): Promise<void> {
    // Earlier records are written before it, so none of them is added to the new file.
    return this.append({ is: 'end', by: '', how: 'done', ids: [] }, true)
  }

  /** Resolves when all is written, as far as that is possible. */
  async close(): Promise<void> {
    await this.#isWriting
    await this.#handle?.close().catch(() => undefined)
    this.#handle = undefined
  }

  async #write(): Promise<void> {
    while (this.#unwritten.length > 0) {
      const batch = this.#unwritten
      this.#unwritten = []
      try {
        await this.#put(batch.map(({ line }) => line).join(''))
        this.#works()
        const hasGrown = this.#bytes > this.#liveBytes + COMPACTED_BYTES
        if (hasGrown || batch.some(({ isRenewal }) => isRenewal)) await this.#rewrite()
        for (const { written } of batch) written()
      } catch (error) {
        this.#failed(error)
        await this.#handle?.close().catch(() => undefined)
        this.#handle = undefined
        for (const { written } of batch) written()
        // They are in what is live, if they matter: the file is rewritten with the next record.
        this.#liveBytes = Number.NEGATIVE_INFINITY
        return
      }
    }
  }

  async #put(lines: string): Promise<void> {
    this.#handle ??= await open(this.#options.path, FLAGS, MODE)
    const text = this.#isTorn ? `\n${lines}` : lines
    // Until it is known to be whole.
    this.#isTorn = true
    await this.#handle.appendFile(text)
    await this.#handle.datasync()
    this.#isTorn = false
    this.#bytes += Buffer.byteLength(text)
  }

  async #rewrite(): Promise<void> {
    const { path, live } = this.#options
    const text = [...live()].map(lineOf).join('')
    const temporary = `${path}.new`
    await rm(temporary, { force: true })
    const handle = await open(temporary, FLAGS | constants.O_EXCL, MODE)
    try {
      await handle.appendFile(text)
      await handle.datasync()
      await rename(temporary, path)
    } catch (error) {
      await handle.close().catch(() => undefined)
      throw error
    }
    await this.#handle?.close().catch(() => undefined)
    this.#handle = handle
    await syncFolder(dirname(path))
    this.#bytes = Buffer.byteLength(text)
    this.#liveBytes = this.#bytes
    this.#isTorn = false
  }

  #failed(error: unknown): void {
    const before = this.#problem
    this.#problem = describeError(error)
    if (before === undefined) {
      this.#options.log(`alerts are kept in memory only: ${this.#problem}`)
    }
  }

  #works(): void {
    if (this.#problem === undefined) return
    this.#problem = undefined
    this.#options.log(`alerts are kept on the disk again: ${this.#options.path}`)
  }
}

const FLAGS = constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND | constants.O_NOFOLLOW

/** Empty: there is none. */
async function textOf(path: string): Promise<string> {
  const found = await stat(path).catch(() => undefined)
  if (!found) return ''
  if (found.size <= LARGEST_READ_BYTES) return await readFile(path, 'utf8')
  const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW)
  try {
    const end = Buffer.alloc(LARGEST_READ_BYTES)
    const { bytesRead } = await handle.read(end, 0, end.length, found.size - end.length)
    return end.toString('utf8', 0, bytesRead)
  } finally {
    await handle.close()
  }
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, constants.O_RDONLY | constants.O_DIRECTORY)
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
