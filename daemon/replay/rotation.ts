/**
 * The files of a log in the order of their contents. One log file that is named alone stands for its rotated
 * ones as well (logrotate's `mail.log.1`, `mail.log.2.gz` and `mail.log-20261130.xz`); of several,
 * only those are read.
 */

import { readdirSync, statSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { LocalTimes } from '../maillog/local-time.ts'
import { readSavedTime } from '../maillog/saved-line.ts'
import { lineBlocks } from './byte-lines.ts'
import { readBytes } from './log-source.ts'
import { readTraceLine } from './trace.ts'

/** Lines in which a file's first time is looked for. */
const MOST_TRIED = 1000

const ROTATED = /^[.-](?:\d{1,4}|\d{8}(?:-?\d{1,10})?)(?:\.(?:gz|xz|zst|bz2))?$/

export interface LogFile {
  readonly name: string
  /** Bytes on disk; 0 of standard input. */
  readonly size: number
  /** Before that everything in it was logged, milliseconds since 1970. */
  readonly before: number
}

/** `now`: milliseconds since 1970. What cannot be read is found out when it is. */
export async function logFiles(names: readonly string[], now: number): Promise<LogFile[]> {
  const [only] = names
  const all = only !== undefined && names.length === 1 ? withRotated(only) : names
  const files = all.map(name => fileOf(name, now))
  if (files.length < 2) return files
  const placed: { file: LogFile; from: number }[] = []
  for (const file of files) placed.push({ file, from: await firstTime(file) })
  return placed.toSorted((a, b) => a.from - b.from).map(({ file }) => file)
}

function withRotated(name: string): string[] {
  if (name === '-') return [name]
  const folder = dirname(name)
  const base = basename(name)
  const rotated = namesIn(folder)
    .filter(one => one.startsWith(base) && ROTATED.test(one.slice(base.length)))
    .map(one => join(folder, one))
  const isThere = statSync(name, { throwIfNoEntry: false }) !== undefined
  return isThere || rotated.length === 0 ? [...rotated, name] : rotated
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    // Then only the file itself may be open to us.
    return []
  }
}

function fileOf(name: string, now: number): LogFile {
  if (name === '-') return { name, size: 0, before: now }
  const stats = statSync(name, { throwIfNoEntry: false })
  return { name, size: stats?.size ?? 0, before: stats?.mtimeMs ?? now }
}

/** The time of the first line that has one; else when the file was last written. */
async function firstTime({ name, before }: LogFile): Promise<number> {
  if (name === '-') return before
  const times = new LocalTimes({ now: () => before, isReplay: true })
  try {
    for await (const { bytes } of lineBlocks(readBytes(name))) {
      for (const line of bytes.toString().split('\n', MOST_TRIED)) {
        const record = line.startsWith('{') ? readTraceLine(line) : undefined
        if (typeof record === 'object') return record.t
        const time = readSavedTime(line, times)
        if (time !== undefined) return time
      }
      break
    }
  } catch {
    // It is reported when it is read.
  }
  return before
}
