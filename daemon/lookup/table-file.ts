/**
 * A file of keys and values that its owner may write anew at any moment.
 *
 * Up to 64 MiB it is held in memory. Once a second, at a lookup, identity, size and time of the
 * file are compared; a changed file takes the place of the one before only when it can be read and
 * looks finished, because postmap writes Berkeley DB files in place. It begins with an empty file
 * that is in perfect order, so a table is not emptied before its file was quiet for ten seconds.
 * What was read stays in use meanwhile. Where the new file cannot be read that is a minute at most:
 * then lookups fail, and say why, or use the unfinished file if that is all there is.
 *
 * Larger files, and those that are written all the time (`isLive`), are read page by page where
 * they lie. A lookup that meets half a change fails; the next one finds the whole.
 */

import { type BigIntStats, closeSync, fstatSync, openSync, readFileSync, statSync } from 'node:fs'
import { describeError, LookupError } from '../policy/errors.ts'
import type { FileTable } from '../policy/table.ts'
import { type Bytes, bytesInMemory, bytesOnDisk } from './bytes.ts'

const CHECK_MILLISECONDS = 1000
const QUIET_MILLISECONDS = 1000
/** Longer than postmap works on a million keys. */
const LONG_QUIET_MILLISECONDS = 10_000
const STALE_MILLISECONDS = 60_000
const LARGEST_HELD = 64 * 2 ** 20

/** What a file says. */
export interface Content {
  get(key: string): string | undefined
  /** False if there are signs that it is just being written. */
  readonly isWhole: boolean
  isEmpty(): boolean
}

export interface TableFileOptions {
  /** The first that exists is the file. */
  readonly paths: readonly string[]
  readonly isLive: boolean
  /** Throws LookupError for a file of another form. */
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

export function openTableFile({ paths, isLive, read }: TableFileOptions): ClosableFileTable {
  let inUse: InUse | undefined
  let problem: string | undefined
  let failingSince = 0
  let nextCheck = 0

  function check(): void {
    const now = performance.now()
    if (now < nextCheck) return
    nextCheck = now + CHECK_MILLISECONDS
    try {
      refresh()
      problem = undefined
    } catch (error) {
      if (problem === undefined) failingSince = now
      problem = named(error)
      if (now - failingSince >= STALE_MILLISECONDS) use(undefined)
    }
  }

  function refresh(): void {
    const { path, stats } = existing(paths)
    if (isLive || stats.size > LARGEST_HELD) {
      const identity = `${stats.dev}:${stats.ino}`
      if (identity !== inUse?.identity) use(onDisk(path, identity, read))
      return
    }
    const identity = identityOf(stats)
    if (identity === inUse?.identity) return
    const age = Math.abs(Date.now() - Number(stats.mtimeMs))
    const replacesEntries = inUse !== undefined && !inUse.isEmpty()
    if (replacesEntries && age < QUIET_MILLISECONDS) return
    const content = read(bytesInMemory(readWhole(path, identity)))
    const isQuiet = age >= LONG_QUIET_MILLISECONDS
    if (!content.isWhole && (replacesEntries || !isQuiet)) {
      throw new LookupError('it is just being written, or was never finished')
    }
    if (replacesEntries && content.isEmpty() && !isQuiet) return
    use({
      identity,
      get: key => content.get(key),
      isEmpty: () => content.isEmpty(),
      close: () => undefined,
    })
  }

  function use(next: InUse | undefined): void {
    inUse?.close()
    inUse = next
  }

  function named(error: unknown): string {
    return `${paths[0]}: ${describeError(error)}`
  }

  return {
    get(key) {
      check()
      if (!inUse) throw new LookupError(problem ?? named('closed'))
      try {
        return inUse.get(key)
      } catch (error) {
        throw new LookupError(named(error), { cause: error })
      }
    },
    problem() {
      check()
      return problem
    },
    close() {
      nextCheck = Infinity
      use(undefined)
    },
  }
}

function onDisk(path: string, identity: string, read: TableFileOptions['read']): InUse {
  const descriptor = openSync(path, 'r')
  // Its first page is read again each time: its owner may be at work.
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
    const bytes = readFileSync(descriptor)
    if (identityOf(fstatSync(descriptor, { bigint: true })) !== identity) {
      throw new LookupError('it is just being written')
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
    // Asked before opening: opening a FIFO waits for its other end.
    if (!stats.isFile()) throw new LookupError('not a regular file')
    return { path, stats }
  }
  throw new LookupError('there is no such file')
}

function identityOf({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): string {
  return `${dev}:${ino}:${size}:${mtimeNs}:${ctimeNs}`
}
