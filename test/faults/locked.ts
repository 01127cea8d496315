import Database from 'better-sqlite3'
import type { Fault } from './fault.ts'

/** Somebody opens the state file and tries to have it for himself. */
export const locked: Fault = {
  name: 'database locked by another process',
  mostDelay: 50,
  strike({ ledger }) {
    refusals = 0
    for (let time = 0; time < 20; time++) {
      const db = new Database(ledger, { timeout: 10 })
      try {
        db.exec('BEGIN EXCLUSIVE')
      } catch {
        refusals++
      } finally {
        db.close()
      }
    }
  },
  after: () => (refusals === 20 ? undefined : `the file was open to others ${20 - refusals} times`),
}

let refusals = 0
