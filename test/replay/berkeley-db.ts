/** Berkeley DB hash files, written by its own db_load (package db-util). */

import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'

const DB_LOAD = 'db_load'

/** Why there can be no such file here, or false. */
export function berkeleyDbMissing(): string | false {
  const { error } = spawnSync(DB_LOAD, ['-V'])
  return error !== undefined && `${DB_LOAD} is not installed (package db-util)`
}

/** @param end follows every key and value: a NUL in what postmap writes. */
export async function writeBerkeleyDb(
  path: string,
  entries: Readonly<Record<string, string>>,
  end: '' | '\0',
): Promise<void> {
  const child = spawn(DB_LOAD, [path], { stdio: ['pipe', 'inherit', 'inherit'] })
  const closed = once(child, 'close')
  const lines = Object.entries(entries).flatMap(([key, value]) => [
    ` ${printable(key + end)}\n`,
    ` ${printable(value + end)}\n`,
  ])
  child.stdin.end(`VERSION=3\nformat=print\ntype=hash\nHEADER=END\n${lines.join('')}DATA=END\n`)
  const [status] = await closed
  if (status !== 0) throw new Error(`${DB_LOAD} ${path}: status ${status}`)
}

/** As db_dump -p shows it. */
function printable(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\0', '\\00')
}
