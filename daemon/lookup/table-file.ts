/**
 * A file of keys and values that its owner may rewrite at any time.
 *
 * Files of up to 64 MiB are held in memory. At most once a second a lookup compares identity, size
 * and time of the file. A changed file replaces the previous one only if it can be read and looks
 * finished, because postmap writes Berkeley DB files in place. It starts from a valid empty file, so
 * an empty table takes effect only after its file has not changed for ten seconds. Meanwhile the
 * previous contents stay in use, but for a minute at most if the new file cannot be read: then
 * lookups fail and say why, or use the unfinished file if there is nothing else.
 *
 * Larger files, and those that are written all the time (`isLive`), are read from disk page by page.
 * A lookup in the middle of a change fails; the next one works.
 */

import {
  type BigIntStats,
  closeSync,
  existsSync,
  fstatSync,
  openSync,
  readFileSync,
  statSync,
} from 'node:fs'
import type { FileTable } from '../policy/ports/table.ts'
import { describeError, LookupError } from '../system/errors.ts'
import { type Bytes, bytesInMemory, bytesOnDisk } from './bytes.ts'

const CHECK_MILLISECONDS = 1000
const QUIET_MILLISECONDS = 1000
/** Longer than postmap takes for a million keys. */
const LONG_QUIET_MILLISECONDS = 10_000
const STALE_MILLISECONDS = 60_000
const LARGEST_HELD = 64 * 2 ** 20

/** The contents of a file. */
export interface Content {
  get(key: string): string | undefined
  /** False if it looks as if it is being written. */
  readonly isWhole: boolean
  isEmpty(): boolean
}

export interface TableFileOptions {
  /** The first one that exists is used. */
  readonly paths: readonly string[]
  readonly isLive: boolean
  /** Throws LookupError for a file in another format. */
  read(bytes: Bytes): Content
}

export interface ClosableFileTable extends FileTable {
  close(): void
}

interface InUse {
  readonly identity: string
  get(key: string): string | undefined
  isEmpty(): boolean
  close(): void
}

export function openTableFile(options: TableFileOptions): ClosableFileTable {
  return new TableFile(options)
}

class TableFile implements ClosableFileTable {
  readonly #options: TableFileOptions
  #inUse: InUse | undefined
  #problem: string | undefined
  /** Milliseconds of `performance.now`. */
  #failingSince = 0
  #nextCheck = 0

  constructor(options: TableFileOptions) {
    this.#options = options
  }

  get(key: string): string | undefined {
    this.#check()
    if (!this.#inUse) throw new LookupError(this.#problem ?? this.#named('closed'))
    try {
      return this.#inUse.get(key)
    } catch (error) {
      throw new LookupError(this.#named(error), { cause: error })
    }
  }

  problem(): string | undefined {
    this.#check()
    return this.#problem
  }

  close(): void {
    this.#nextCheck = Infinity
    this.#use(undefined)
  }

  #check(): void {
    const now = performance.now()
    if (now < this.#nextCheck) return
    this.#nextCheck = now + CHECK_MILLISECONDS
    try {
      this.#refresh()
      this.#problem = undefined
    } catch (error) {
      if (this.#problem === undefined) this.#failingSince = now
      this.#problem = this.#named(error)
      if (now - this.#failingSince >= STALE_MILLISECONDS) this.#use(undefined)
    }
  }

  #refresh(): void {
    const { paths, isLive, read } = this.#options
    const { path, stats } = existing(paths)
    if (isLive || stats.size > LARGEST_HELD) {
      const identity = `${stats.dev}:${stats.ino}`
      if (identity !== this.#inUse?.identity) this.#use(onDisk(path, identity, read))
      return
    }
    const identity = identityOf(stats)
    if (identity === this.#inUse?.identity) return
    const age = Math.abs(Date.now() - Number(stats.mtimeMs))
    const replacesEntries = this.#inUse !== undefined && !this.#inUse.isEmpty()
    if (replacesEntries && age < QUIET_MILLISECONDS) return
    const content = read(bytesInMemory(readWhole(path, identity)))
    const isQuiet = age >= LONG_QUIET_MILLISECONDS
    if (!content.isWhole && (replacesEntries || !isQuiet)) {
      throw new LookupError('it is being written, or was never finished')
    }
    if (replacesEntries && content.isEmpty() && !isQuiet) return
    this.#use({
      identity,
      get: key => content.get(key),
      isEmpty: () => content.isEmpty(),
      close: () => undefined,
    })
  }

  #use(next: InUse | undefined): void {
    this.#inUse?.close()
    this.#inUse = next
  }

  #named(error: unknown): string {
    return `${this.#options.paths[0]}: ${describeError(error)}`
  }
}

function onDisk(path: string, identity: string, read: TableFileOptions['read']): InUse {
  const descriptor = openSync(path, 'r')
  // The first page is read again each time: the owner may be writing.
  const content = (): Content => read(bytesOnDisk(descriptor))
  try {
    content()
  } catch (error) {
    closeSync(descriptor)
    throw error
  }
  return {
    identity,
    get: key => content().get(key),
    isEmpty: () => content().isEmpty(),
    close: () => closeSync(descriptor),
  }
}

function readWhole(path: string, identity: string): Buffer {
  const descriptor = openSync(path, 'r')
  try {
    // What the kernel makes up as it is read has the size 0, and perhaps no end: it counts as empty.
    const isEmpty = fstatSync(descriptor).size === 0
    const bytes = isEmpty ? Buffer.alloc(0) : readFileSync(descriptor)
    if (identityOf(fstatSync(descriptor, { bigint: true })) !== identity) {
      throw new LookupError('it is being written')
    }
    return bytes
  } finally {
    closeSync(descriptor)
  }
}

function existing(paths: readonly string[]): { path: string; stats: BigIntStats } {
  for (const path of paths) {
    const stats = statSync(path, { bigint: true, throwIfNoEntry: false })
    if (!stats) continue
    // Checked before opening, because opening a FIFO waits for its other end.
    if (!stats.isFile()) throw new LookupError('not a regular file')
    return { path, stats }
  }
  const source = paths[0]?.replace(/\.(?:db|cdb|lmdb)$/, '')
  const isMade = source !== undefined && !paths.includes(source) && existsSync(source)
  throw new LookupError(`there is no such file${isMade ? `; run postmap on ${source}` : ''}`)
}

function identityOf({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): string {
  return `${dev}:${ino}:${size}:${mtimeNs}:${ctimeNs}`
}
