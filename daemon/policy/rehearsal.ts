/**
 * A rehearsal: a request is decided as it would be, with a trace of every plugin's step, and nothing
 * anywhere is changed, sent or counted. For `explain`, replay and the console.
 */

import { LookupError } from '../system/errors.ts'
import { type MaybePromise, whenReady } from '../system/maybe-promise.ts'
import type { KeyValueStore } from './ports/key-value.ts'
import type { Judgement, Ledger, LedgerEvent } from './ports/ledger.ts'
import type { SqlConnection } from './ports/sql.ts'

/** Something outside was to be told or asked that might remember it. The plugin's step is `skipped`. */
export class NotRehearsed extends LookupError {
  constructor(what: string) {
    super(`${what}: not done in a rehearsal`)
  }
}

/** Judges as the ledger would now, and counts nothing. */
export function previewing(ledger: Ledger): Ledger {
  const preview = (event: LedgerEvent): MaybePromise<Judgement> =>
    whenReady(ledger.preview(event), previewed => ({ ...previewed, takeBack: () => undefined }))
  return {
    judge: preview,
    preview: event => ledger.preview(event),
    fitsAt: (event, claim) => ledger.fitsAt(event, claim),
    giveBack: () => undefined,
    takeBack: () => undefined,
    settle: () => undefined,
    disconnect: () => undefined,
    expire: () => undefined,
    used: (counter, subject, window, now) => ledger.used(counter, subject, window, now),
    reset: () => 0,
    recipientOnlyServices: () => ledger.recipientOnlyServices(),
  }
}

const notWritten = (): NotRehearsed => new NotRehearsed('writing to a database')

/** True for an operator's own query that does not write; another one is not run, and the plugin is `skipped`. */
function onlyReads(sql: string): boolean {
  const writes = /\b(?:insert|update|delete|merge|into)\b/i
  return /^[\s(]*(?:select|with|values|table)\b/i.test(sql) && !writes.test(sql)
}

/** Reads what is there; a plugin that wants to write is `skipped` from there on. */
export function readingOnly(connection: SqlConnection): SqlConnection {
  return {
    dialect: connection.dialect,
    query: (sql, values, most) =>
      onlyReads(sql) ? connection.query(sql, values, most) : Promise.reject(notWritten()),
    execute: () => Promise.reject(notWritten()),
  }
}

/** Answers as the store would, and writes nothing. */
export function peeking(store: KeyValueStore): KeyValueStore {
  return {
    get: key => store.get(key),
    set: () => Promise.resolve(),
    add: async key => (await store.get(key)) === undefined,
    increment: async key => (Number(await store.get(key)) || 0) + 1,
    delete: () => Promise.resolve(),
  }
}
