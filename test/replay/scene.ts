/**
 * What a recorded case finds when it begins: a folder with its files and databases, its servers,
 * and the places that its texts name.
 *
 *   @DIR@                          the folder, also the daemon's working directory
 *   @PORT@ @PORT2@ @PORT3@         for the daemon to listen on
 *   @MEMCACHED@ @REDIS@ @PROXY@ @HTTP@, @CLOSED@ where nobody listens    HOST:PORT
 *   @LDAP_PORT@ @SMTP_PORT@ @DNS_PORT@
 */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { isAbsolute, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import Database from 'better-sqlite3'
import { freePort } from '../support/free-port.ts'
import { writeBerkeleyDb } from './berkeley-db.ts'
import type { Preparation, RecordedCase } from './case.ts'
import { hasMemcachedKey, redisCli, setMemcachedKey } from './key-value.ts'
import { type Closable, type Closing, startServers } from './servers.ts'

export interface Scene {
  readonly folder: string
  readonly env: Readonly<Record<string, string>>
  place(name: string): string
  /** A text with its places filled in. */
  fill(text: string): string
  write(path: string, text: string): void
  prepare(step: Preparation): Promise<void>
  /** What was found where `wanted` looks, in the form in which it was recorded. */
  look(wanted: Looks): Promise<Looks>
  close(): Promise<void>
}

/** What can be seen only afterwards. */
type Looks = Pick<
  RecordedCase,
  | 'after_sql'
  | 'after_memcached'
  | 'after_redis'
  | 'smtp_log'
  | 'policy_stub_connections'
  | 'dns_queries'
>

export async function openScene(recorded: RecordedCase): Promise<Scene> {
  const folder = mkdtempSync(join(tmpdir(), 'replay-'))
  const opened: Closable[] = []
  async function close(): Promise<void> {
    for (const one of opened.toReversed()) await one.close()
    rmSync(folder, { recursive: true, force: true })
  }
  function closing<T extends Closable>(one: T): T {
    opened.push(one)
    return one
  }
  try {
    return { ...(await furnish(recorded, folder, closing)), close }
  } catch (error) {
    await close()
    throw error
  }
}

async function furnish(
  recorded: RecordedCase,
  folder: string,
  closing: Closing,
): Promise<Omit<Scene, 'close'>> {
  const { memcached, redis, directory, mail, web, names, service } = await startServers(
    recorded,
    folder,
    closing,
  )
  const local = (port = 0): string => `127.0.0.1:${port}`
  const places: Readonly<Record<string, string>> = {
    DIR: folder,
    PORT: String(await freePort()),
    PORT2: String(await freePort()),
    PORT3: String(await freePort()),
    MEMCACHED: local(memcached),
    REDIS: local(redis),
    PROXY: local(service?.port),
    HTTP: local(web?.port),
    CLOSED: local(await freePort()),
    LDAP_PORT: String(directory),
    SMTP_PORT: String(mail?.port),
    DNS_PORT: String(names?.port),
  }
  const place = (name: string): string => places[name] ?? `@${name}@`
  const fill = (text: string): string =>
    text.replace(/@([A-Z_]+\d?)@/g, (_whole, name: string) => place(name))
  const inFolder = (path: string): string => (isAbsolute(path) ? path : join(folder, path))
  const write = (path: string, text: string): void => writeFileSync(inFolder(path), fill(text))

  for (const [path, text] of Object.entries(recorded.files ?? {})) write(path, text)
  for (const [path, script] of Object.entries(recorded.sqlite ?? {})) {
    runSql(inFolder(path), fill(script))
  }
  for (const [name, entries] of Object.entries(recorded.postmap ?? {})) {
    await writeBerkeleyDb(inFolder(`${name}.db`), entries, '\0')
  }
  for (const [name, entries] of Object.entries(recorded.bdb ?? {})) {
    await writeBerkeleyDb(inFolder(name), entries, '')
  }

  const env: Record<string, string> = { ...names?.env }
  // As the recording had it.
  if (names) env.RES_OPTIONS = `port:${names.port} retry:1 retrans:1`
  for (const [name, text] of Object.entries(recorded.env ?? {})) env[name] = fill(text)

  return {
    folder,
    env,
    place,
    fill,
    write,

    async prepare({ sleep: seconds, write: file, sql, memcached_set, redis: command }) {
      if (seconds !== undefined) await sleep(seconds * 1000)
      if (file) write(...file)
      if (sql) runSql(inFolder(sql[0]), sql[1])
      if (memcached_set && memcached !== undefined) {
        const [key, value] = memcached_set
        await setMemcachedKey(memcached, key, atNow(value))
      }
      if (command && redis !== undefined) await redisCli(redis, command.map(atNow))
    },

    async look(wanted) {
      const found: Looks = {}
      if (wanted.after_sql) {
        found.after_sql = wanted.after_sql.map(({ db, query }) => ({
          db,
          query,
          rows: readRows(inFolder(db), query),
        }))
      }
      if (wanted.after_memcached && memcached !== undefined) {
        found.after_memcached = {}
        for (const key of Object.keys(wanted.after_memcached)) {
          const isThere = await hasMemcachedKey(memcached, key)
          found.after_memcached[key] = isThere ? 'present' : 'absent'
        }
      }
      if (wanted.after_redis && redis !== undefined) {
        found.after_redis = []
        for (const { cmd } of wanted.after_redis) {
          found.after_redis.push({ cmd, out: await redisCli(redis, cmd) })
        }
      }
      if (wanted.smtp_log) found.smtp_log = [...(mail?.log ?? [])]
      if (wanted.policy_stub_connections !== undefined) {
        found.policy_stub_connections = service?.connections
      }
      if (wanted.dns_queries) found.dns_queries = (names?.questions ?? []).map(nameAndType)
      return found
    },
  }
}

/** `@NOW-1` is the epoch of a second ago. */
function atNow(text: string): string {
  const offset = /^@NOW([+-]\d+)$/.exec(text)?.[1]
  return offset === undefined ? text : String(Math.floor(Date.now() / 1000) + Number(offset))
}

function nameAndType(question: string): [string, string] {
  const [name = '', type = ''] = question.split(' ')
  return [name, type]
}

function runSql(path: string, script: string): void {
  const db = new Database(path)
  db.exec(script)
  db.close()
}

function readRows(path: string, query: string): unknown[][] {
  const db = new Database(path, { readonly: true })
  try {
    return db
      .prepare(query)
      .raw()
      .all()
      .map(row => (Array.isArray(row) ? row : [row]))
  } finally {
    db.close()
  }
}
