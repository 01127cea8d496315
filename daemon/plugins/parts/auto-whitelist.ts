/**
 * The whitelist of Greylist: how often a client has passed with mail of a sender's domain, in SQL
 * or in Redis.
 *
 * The SQL table is mtpolicyd's and is used unchanged, even the one it made in SQLite without a
 * unique key. A pair that has not been seen for `expireDays` counts as new, whether or not it has
 * been removed yet. Every method throws, or rejects with, LookupError if the store does not
 * answer.
 */

import type { MaybePromise } from '../../policy/plugin.ts'
import type { KeyValueStore } from '../../policy/ports/key-value.ts'
import type { SqlConnection } from '../../policy/ports/sql.ts'
import type { Clock } from '../../system/clock.ts'

/** A client and the sender domain it has passed with. */
export interface Pair {
  readonly domain: string
  readonly address: string
}

export interface AutoWhitelist {
  /** How often this pair has passed; 0 for a new one. */
  count(pair: Pair): Promise<number>
  /** Counts another pass. */
  add(pair: Pair): Promise<void>
}

export interface SqlWhitelist extends AutoWhitelist {
  /** Creates the table if it is missing. */
  ready(): MaybePromise<void>
  /** Removes expired pairs and returns how many. */
  expire(): Promise<number>
}

const DAY_SECONDS = 24 * 60 * 60

/** In Redis each pair expires by itself. */
export function keyValueWhitelist(store: KeyValueStore, expireDays: number): AutoWhitelist {
  const keyOf = ({ domain, address }: Pair): string => `awl-,${domain},${address}`
  return {
    async count(pair) {
      const count = Number((await store.get(keyOf(pair))) ?? 0)
      return Number.isInteger(count) ? count : 0
    },
    async add(pair) {
      await store.increment(keyOf(pair), expireDays * DAY_SECONDS)
    },
  }
}

/** @param table a name that isTableWord accepts. */
export function sqlWhitelist(
  sql: SqlConnection,
  table: string,
  options: { readonly expireDays: number; readonly mysqlEngine: string; readonly clock: Clock },
): SqlWhitelist {
  const { expireDays, mysqlEngine, clock } = options
  const now = (): number => Math.floor(clock.now() / 1000)
  const oldest = (): number => now() - expireDays * DAY_SECONDS
  let isReady = false

  function ready(): MaybePromise<void> {
    if (isReady) return
    const done = (): void => {
      isReady = true
    }
    const made = sql.execute(definition(sql.dialect, table, mysqlEngine), [])
    return made instanceof Promise ? made.then(done) : done()
  }

  const inserted = `INSERT INTO ${table} (sender_domain, client_ip, count, last_seen)`
  const counted = (of: string): string =>
    `count = CASE WHEN ${of}last_seen < ? THEN 1 ELSE ${of}count + 1 END, last_seen = ?`

  return {
    ready,

    async count(pair) {
      if (!fits(pair)) return 0
      await ready()
      const rows = await sql.query(
        `SELECT max(count) FROM ${table} WHERE client_ip = ? AND sender_domain = ? AND last_seen >= ?`,
        [pair.address, pair.domain, oldest()],
        1,
      )
      return Number(rows[0]?.[0] ?? 0)
    },

    async add(pair) {
      if (!fits(pair)) return
      await ready()
      const { domain, address } = pair
      const row = [domain, address, now()]
      const anew = [oldest(), now()]
      if (sql.dialect === 'mysql') {
        const upsert = `${inserted} VALUES (?, ?, 1, ?) ON DUPLICATE KEY UPDATE ${counted('')}`
        await sql.execute(upsert, [...row, ...anew])
      } else if (sql.dialect === 'postgres') {
        const conflict = 'ON CONFLICT (client_ip, sender_domain) DO UPDATE SET'
        const upsert = `${inserted} VALUES (?, ?, 1, ?) ${conflict} ${counted(`${table}.`)}`
        await sql.execute(upsert, [...row, ...anew])
      } else {
        // Without a unique key there is no conflict to handle. Each statement locks the file.
        const where = 'WHERE client_ip = ? AND sender_domain = ?'
        const insert = `${inserted} SELECT ?, ?, 1, ? WHERE NOT EXISTS (SELECT 1 FROM ${table} ${where})`
        const changes = await sql.execute(insert, [...row, address, domain])
        if (changes > 0) return
        const update = `UPDATE ${table} SET ${counted('')} ${where}`
        await sql.execute(update, [...anew, address, domain])
      }
    },

    async expire() {
      await ready()
      return sql.execute(`DELETE FROM ${table} WHERE last_seen < ?`, [oldest()])
    },
  }
}

/** Whether the table's columns can hold the pair; mail systems use domains in their ASCII form. */
function fits({ domain, address }: Pair): boolean {
  return domain.length <= 255 && address.length <= 39 && /^[ -~]*$/.test(domain + address)
}

function definition(dialect: SqlConnection['dialect'], table: string, engine: string): string {
  const columns = 'sender_domain VARCHAR(255) NOT NULL, client_ip VARCHAR(39) NOT NULL'
  const pair = '(client_ip, sender_domain)'
  switch (dialect) {
    case 'sqlite':
      return (
        `CREATE TABLE IF NOT EXISTS ${table} (id INTEGER PRIMARY KEY AUTOINCREMENT, ${columns}, ` +
        `count INT UNSIGNED NOT NULL, last_seen INTEGER NOT NULL, UNIQUE ${pair})`
      )
    case 'mysql':
      return (
        `CREATE TABLE IF NOT EXISTS ${table} (id INT AUTO_INCREMENT PRIMARY KEY, ${columns}, ` +
        `count INT UNSIGNED NOT NULL, last_seen INT UNSIGNED NOT NULL, UNIQUE KEY pair ${pair}, ` +
        `KEY (client_ip), KEY (sender_domain)) ENGINE=${engine} DEFAULT CHARSET=latin1`
      )
    case 'postgres':
      return (
        `CREATE TABLE IF NOT EXISTS ${table} (id SERIAL PRIMARY KEY, ${columns}, ` +
        `count BIGINT NOT NULL, last_seen BIGINT NOT NULL, UNIQUE ${pair})`
      )
  }
}
