/**
 * Why mails of the folder `outgoing/` have not left: noted by the process that sends them, read by the daemon
 * for status and for a test. The file is not one of the mails: its name begins with a dot.
 */

import { readFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { replaceFile } from '../../system/replace-file.ts'

/** Reasons that are kept, those of the first mails of a run. */
const MOST_NOTES = 50
/** Characters of a reason. */
const LONGEST_NOTE = 300
/** What was given up before is told no more. */
const LONGEST_MILLISECONDS = 86_400_000

export interface OutgoingNotes {
  /** By name of the file: why it has to wait. */
  readonly waiting: ReadonlyMap<string, string>
  /** The same, of those that were given up. */
  readonly givenUp: ReadonlyMap<string, string>
}

const NONE: OutgoingNotes = { waiting: new Map(), givenUp: new Map() }

/** Those of one run. */
export class OutgoingNotebook {
  readonly #path: string
  readonly #now: () => number
  readonly #waiting = new Map<string, string>()
  readonly #givenUp = new Map<string, string>()

  constructor(folder: string, now: () => number) {
    this.#path = pathIn(folder)
    this.#now = now
  }

  /** On the disk when it returns, so before the mail is deleted. Never throws: mail is more important. */
  note(name: string, outcome: 'waiting' | 'given up', why: string): void {
    const notes = outcome === 'waiting' ? this.#waiting : this.#givenUp
    if (notes.size >= MOST_NOTES) return
    notes.set(name, why.slice(0, LONGEST_NOTE).toWellFormed())
    const written = { at: this.#now(), waiting: [...this.#waiting], givenUp: [...this.#givenUp] }
    try {
      replaceFile(this.#path, JSON.stringify(written), {
        temporary: `${this.#path}.new`,
        mode: 0o600,
        sync: 'nothing',
        mountPoint: 'write in place',
      })
    } catch {
      // The journal has it.
    }
  }

  /** The run is over: after one that had nothing to note, what was noted before holds no more. */
  async end(sent: number): Promise<void> {
    if (sent > 0 && this.#waiting.size + this.#givenUp.size === 0) {
      await rm(this.#path, { force: true })
    }
  }
}

/** Those of the last run that had any. */
export function outgoingNotes(folder: string, now: number): OutgoingNotes {
  try {
    const read: unknown = JSON.parse(readFileSync(pathIn(folder), 'utf8'))
    if (typeof read !== 'object' || read === null) return NONE
    const { at, waiting, givenUp } = read as Partial<Record<'at' | 'waiting' | 'givenUp', unknown>>
    const isOld = typeof at !== 'number' || now - at > LONGEST_MILLISECONDS
    return { waiting: reasonsIn(waiting), givenUp: isOld ? NONE.givenUp : reasonsIn(givenUp) }
  } catch {
    return NONE
  }
}

function pathIn(folder: string): string {
  return join(folder, '.notes')
}

function reasonsIn(list: unknown): ReadonlyMap<string, string> {
  const pairs = Array.isArray(list) ? list.flatMap(pairIn) : []
  return new Map(pairs)
}

function pairIn(item: unknown): (readonly [string, string])[] {
  if (!Array.isArray(item)) return []
  const [name, why]: readonly unknown[] = item
  return typeof name === 'string' && typeof why === 'string' ? [[name, why]] : []
}
