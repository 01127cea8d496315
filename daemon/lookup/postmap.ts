/**
 * Tables of Postfix that only Postfix can read (lmdb, cidr, pcre, regexp, ldap, mysql, ...), queried
 * through `postmap -q - TYPE:NAME`.
 *
 * Keys go through standard input, so none is taken for an option; no shell. One process at a time per
 * table answers all that came in the meantime, in batches. An answer is kept for a minute, unless the
 * table's file has changed, which is checked once a second. A process that takes longer than 3 s is
 * killed; then, and when Postfix says "fatal", everything that waits fails with its words, and so does
 * every lookup in the following seconds. `MAIL_CONFIG` is passed on.
 */

import type { ChildProcess } from 'node:child_process'
import { statSync } from 'node:fs'
import { type Clock, systemClock } from '../system/clock.ts'
import { LookupError } from '../system/errors.ts'
import { Gate } from '../system/gate.ts'
import type { MaybePromise } from '../system/maybe-promise.ts'
import { Patience } from '../system/patience.ts'
import { noAnswer, refusal } from '../system/refused.ts'

const PROGRAM_MILLISECONDS = 3000
const WAIT_MILLISECONDS = 3000
const KEEP_MILLISECONDS = 60_000
const CHECK_MILLISECONDS = 1000
/** Each attempt is a process. */
const SHORTEST_REST_MILLISECONDS = 1000
const MOST_KEPT = 10_000
const MOST_WAITING = 10_000
const BATCH = 100
/** Postfix's own limit for a line of a table is far below. */
const LONGEST_KEY = 2048
const LARGEST_OUTPUT = 2 ** 20

export interface PostmapTable {
  get(key: string): MaybePromise<string | undefined>
  close(): void
}

type Query = PromiseWithResolvers<string | undefined>

/** @param name `TYPE:NAME` */
export function postmapTable(name: string, clock: Clock = systemClock): PostmapTable {
  return new Postmap(name, clock)
}

class Postmap implements PostmapTable {
  readonly #name: string
  readonly #clock: Clock
  /** A slot is a key of the batch that the process works on. */
  readonly #gate: Gate
  readonly #patience: Patience
  readonly #kept = new Map<string, { readonly value: string | undefined; readonly until: number }>()
  /** Not answered yet, waiting or in the batch. */
  readonly #pending = new Map<string, Query>()
  #batch: string[] = []
  #child: ChildProcess | undefined
  #isStarting = false
  #files = ''
  #nextCheck = 0

  constructor(name: string, clock: Clock) {
    this.#name = name
    this.#clock = clock
    this.#gate = new Gate({ clock, slots: 0, waiting: MOST_WAITING })
    this.#patience = new Patience(clock, { shortestRestMilliseconds: SHORTEST_REST_MILLISECONDS })
  }

  get(key: string): MaybePromise<string | undefined> {
    if (key === '' || key.length > LONGEST_KEY || /[\0\n\t]/.test(key)) return undefined
    const now = this.#clock.elapsed()
    this.#dropIfChanged(now)
    const known = this.#kept.get(key)
    if (known && known.until > now) return known.value
    this.#kept.delete(key)
    const same = this.#pending.get(key)
    if (same) return same.promise
    const refused = this.#patience.refusal()
    if (refused) throw refusal(this.#name, refused)
    return this.#query(key)
  }

  close(): void {
    this.#child?.kill('SIGKILL')
    this.#gate.close()
    this.#failBatch(new LookupError(`${this.#name}: closed`))
  }

  #query(key: string): Promise<string | undefined> {
    const query: Query = Promise.withResolvers()
    this.#pending.set(key, query)
    this.#gate.enter({
      milliseconds: WAIT_MILLISECONDS,
      admitted: () => this.#batch.push(key),
      refused: why => this.#settle(key)?.reject(refusal(this.#name, why)),
    })
    if (!this.#isStarting && !this.#child) {
      this.#isStarting = true
      // At the end of this turn, together with all other lookups made in it.
      setImmediate(() => this.#start())
    }
    return query.promise
  }

  #settle(key: string): Query | undefined {
    const query = this.#pending.get(key)
    this.#pending.delete(key)
    return query
  }

  #start(): void {
    this.#isStarting = false
    if (this.#child || this.#gate.waiting === 0) return
    const refused = this.#patience.admit()
    if (refused) {
      this.#gate.refuseWaiting(refused)
      return
    }
    this.#gate.resize(BATCH)
    const began = this.#clock.elapsed()
    const { execFile } = process.getBuiltinModule('node:child_process')
    this.#child = execFile(
      'postmap',
      ['-q', '-', this.#name],
      {
        // Postfix lives in /usr/sbin, which not every PATH has.
        env: { ...process.env, PATH: `${process.env.PATH ?? ''}:/usr/sbin:/sbin`, LC_ALL: 'C' },
        maxBuffer: LARGEST_OUTPUT,
      },
      (error, stdout, stderr) => {
        cancel()
        this.#child = undefined
        const reason = failureOf(error, stderr)
        if (reason === undefined) this.#answer(stdout)
        // A failure that Postfix reports itself is not a time-out, however busy this host is.
        else this.#fail(reason, child.killed ? this.#clock.elapsed() - began : 0)
        this.#start()
      },
    )
    const child = this.#child
    const cancel = this.#clock.after(PROGRAM_MILLISECONDS, () => void child.kill('SIGKILL'))
    // It may end without having read its input.
    child.stdin?.on('error', () => undefined)
    child.stdin?.end(this.#batch.map(key => `${key}\n`).join(''))
  }

  /** Postfix repeats each key it has found, a tab, and the value. */
  #answer(output: string): void {
    this.#patience.answered()
    const values = new Map<string, string>()
    for (const line of output.split('\n')) {
      const tab = line.indexOf('\t')
      if (tab > 0) values.set(line.slice(0, tab), line.slice(tab + 1))
    }
    const until = this.#clock.elapsed() + KEEP_MILLISECONDS
    for (const key of this.#takeBatch()) {
      const value = values.get(key)
      if (this.#kept.size >= MOST_KEPT) this.#kept.delete(this.#kept.keys().next().value ?? '')
      this.#kept.set(key, { value, until })
      this.#settle(key)?.resolve(value)
    }
  }

  #fail(reason: string, waited: number): void {
    this.#patience.failed(reason, waited)
    this.#failBatch(new LookupError(`${this.#name}: ${reason}`))
    this.#gate.refuseWaiting({ why: 'failed', reason })
  }

  #failBatch(error: LookupError): void {
    for (const key of this.#takeBatch()) this.#settle(key)?.reject(error)
  }

  /** Its slots are free, but not for anybody before the next process. */
  #takeBatch(): readonly string[] {
    const batch = this.#batch
    this.#batch = []
    this.#gate.resize(0)
    for (const _ of batch) this.#gate.leave()
    return batch
  }

  #dropIfChanged(now: number): void {
    if (now < this.#nextCheck) return
    this.#nextCheck = now + CHECK_MILLISECONDS
    const found = filesOf(this.#name)
    if (found !== this.#files) this.#kept.clear()
    this.#files = found
  }
}

/** postmap exits with 1 both when nothing was found and when it failed, but then it says why. */
function failureOf(error: (Error & { code?: unknown }) | null, stderr: string): string | undefined {
  if (!error) return undefined
  if (error.code === 'ENOENT') return 'postmap, which reads this type of table, is not installed'
  if (error.code === 1) {
    const fatal = stderr.split('\n').find(line => /\b(?:fatal|error|panic): /.test(line))
    return fatal?.replace(/^postmap: /, '')
  }
  if (typeof error.code === 'number') return `postmap: exit status ${error.code}`
  return 'code' in error && error.code
    ? `postmap: ${error.code}`
    : `postmap: ${noAnswer(PROGRAM_MILLISECONDS)}`
}

/** Tells whether TYPE:/PATH has changed; always the same where the name is not a path. */
function filesOf(name: string): string {
  const path = name.slice(name.indexOf(':') + 1)
  if (!path.startsWith('/')) return ''
  return ['', '.lmdb', '.pag']
    .map(suffix => {
      const stats = statSync(path + suffix, { throwIfNoEntry: false })
      return stats ? `${stats.ino}:${stats.size}:${stats.mtimeMs}` : ''
    })
    .join(' ')
}
