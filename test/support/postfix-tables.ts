/**
 * Tables as Postfix and Berkeley DB make them, for tests.
 *
 *   const skip = toolsMissing('postmap', 'db_load')   // false, or why not; throws on CI
 *   usePostfixConfig(t.testdir())                     // for this process and what it starts
 *   postmap('hash', '/tmp/x/map', 'a OK\n')           // makes /tmp/x/map and /tmp/x/map.db
 *   askPostmap('hash:/tmp/x/map', ['a', 'b'])         // Map { a => OK }
 *   loadBerkeleyDb('/tmp/x/awl', [['a', '1']])
 */

import { execFileSync, spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Postfix lives in /usr/sbin, which not every PATH has. */
process.env.PATH = `${process.env.PATH}:/usr/sbin:/sbin`

export function toolsMissing(...programs: readonly string[]): string | false {
  const missing = programs.filter(
    program => spawnSync('sh', ['-c', `command -v ${program}`]).status !== 0,
  )
  if (missing.length === 0) return false
  const reason = `not installed: ${missing.join(', ')}`
  if (process.env.CI) throw new Error(reason)
  return reason
}

/** A main.cf of the test's own: the machine may have none. Types from extra packages are known. */
export function usePostfixConfig(folder: string): void {
  const mainCf = join(folder, 'main.cf')
  mkdirSync(folder, { recursive: true })
  writeFileSync(mainCf, 'compatibility_level = 3.6\n')
  // Postfix waits for a file that was changed this very second.
  utimesSync(mainCf, 1, 1)
  const extra = '/etc/postfix/dynamicmaps.cf'
  if (existsSync(extra)) copyFileSync(extra, join(folder, 'dynamicmaps.cf'))
  process.env.MAIL_CONFIG = folder
}

/** Does this Postfix have the type? */
export function knowsTableType(type: string): boolean {
  return execFileSync('postconf', ['-m'], { encoding: 'utf8' }).split(/\s+/).includes(type)
}

export function postmap(type: string, path: string, source: string): void {
  writeFileSync(path, source)
  execFileSync('postmap', [`${type}:${path}`], { stdio: ['ignore', 'ignore', 'pipe'] })
}

/** What Postfix itself finds. */
export function askPostmap(table: string, keys: readonly string[]): Map<string, string> {
  const { stdout } = spawnSync('postmap', ['-q', '-', table], {
    input: keys.map(key => `${key}\n`).join(''),
    encoding: 'utf8',
    maxBuffer: 2 ** 26,
  })
  return new Map(
    stdout
      .split('\n')
      .filter(line => line !== '')
      .map(line => [line.slice(0, line.indexOf('\t')), line.slice(line.indexOf('\t') + 1)]),
  )
}

/** @param options `NAME=VALUE` of db_load(1), e.g. db_lorder=4321 */
export function loadBerkeleyDb(
  path: string,
  entries: Iterable<readonly [string, string]>,
  type: 'hash' | 'btree' = 'hash',
  options: readonly string[] = [],
): void {
  const lines = [...entries].flat().map(text => `${text}\n`)
  const settings = options.flatMap(option => ['-c', option])
  execFileSync('db_load', [...settings, '-T', '-t', type, path], { input: lines.join('') })
}
