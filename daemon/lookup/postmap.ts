/**
 * Tables of Postfix that only Postfix can read (lmdb, cidr, pcre, regexp, ldap, mysql, ...), asked
 * through `postmap -q - TYPE:NAME`.
 *
 * Keys go through standard input, so none is taken for an option; no shell. One process at a time
 * per table answers all that was asked meanwhile, in batches. An answer is kept for a minute, and
 * not when the table's file has changed, which is looked for once a second. A process that needs
 * longer than 3 s is ended; then, and when Postfix says "fatal", everything waiting fails with its
 * words, and so does what is asked in the second after. `MAIL_CONFIG` is passed on.
 */

import type { ChildProcess } from 'node:child_process'
import { statSync } from 'node:fs'
import { LookupError } from '../policy/errors.ts'
import type { MaybePromise } from '../policy/ports.ts'

const PROGRAM_MILLISECONDS = 3000
const KEEP_MILLISECONDS = 60_000
const CHECK_MILLISECONDS = 1000
const REST_MILLISECONDS = 1000
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

type Question = PromiseWithResolvers<string | undefined>

/** @param name `TYPE:NAME` */
export function postmapTable(name: string): PostmapTable {
  const kept = new Map<string, { readonly value: string | undefined; readonly until: number }>()
  const waiting = new Map<string, Question>()
  let asked = new Map<string, Question>()
  let child: ChildProcess | undefined
  let files = ''
  let nextCheck = 0
  let failure: { readonly error: LookupError; readonly until: number } | undefined

  function forgetIfChanged(now: number): void {
    if (now < nextCheck) return
    nextCheck = now + CHECK_MILLISECONDS
    const found = filesOf(name)
    if (found !== files) kept.clear()
    files = found
  }

  function ask(): void {
    if (child || waiting.size === 0) return
    asked = new Map([...waiting].slice(0, BATCH))
    for (const key of asked.keys()) waiting.delete(key)
    const { execFile } = process.getBuiltinModule('node:child_process')
    child = execFile(
      'postmap',
      ['-q', '-', name],
      {
        // Postfix lives in /usr/sbin, which not every PATH has.
        env: { ...process.env, PATH: `${process.env.PATH ?? ''}:/usr/sbin:/sbin`, LC_ALL: 'C' },
        timeout: PROGRAM_MILLISECONDS,
        killSignal: 'SIGKILL',
        maxBuffer: LARGEST_OUTPUT,
      },
      (error, stdout, stderr) => {
        child = undefined
        const reason = failureOf(error, stderr)
        if (reason === undefined) answer(stdout)
        else fail(new LookupError(`${name}: ${reason}`))
        ask()
      },
    )
    // It may end without having read what it is asked.
    child.stdin?.on('error', () => undefined)
    child.stdin?.end([...asked.keys()].map(key => `${key}\n`).join(''))
  }

  /** Postfix repeats each key it has found, a tab, and the value. */
  function answer(output: string): void {
    const values = new Map<string, string>()
    for (const line of output.split('\n')) {
      const tab = line.indexOf('\t')
      if (tab > 0) values.set(line.slice(0, tab), line.slice(tab + 1))
    }
    const until = performance.now() + KEEP_MILLISECONDS
    for (const [key, question] of asked) {
      const value = values.get(key)
      if (kept.size >= MOST_KEPT) kept.delete(kept.keys().next().value ?? '')
      kept.set(key, { value, until })
      question.resolve(value)
    }
    asked.clear()
  }

  function fail(error: LookupError): void {
    failure = { error, until: performance.now() + REST_MILLISECONDS }
    const questions = [...asked.values(), ...waiting.values()]
    asked.clear()
    waiting.clear()
    for (const question of questions) question.reject(error)
  }

  return {
    get(key) {
      if (key === '' || key.length > LONGEST_KEY || /[\0\n\t]/.test(key)) return undefined
      const now = performance.now()
      forgetIfChanged(now)
      const known = kept.get(key)
      if (known && known.until > now) return known.value
      kept.delete(key)
      if (failure && failure.until > now) throw failure.error
      const question = asked.get(key) ?? waiting.get(key)
      if (question) return question.promise
      if (waiting.size >= MOST_WAITING) throw new LookupError(`${name}: too many questions`)
      const mine: Question = Promise.withResolvers()
      waiting.set(key, mine)
      // At the end of this turn, with all else that is asked in it.
      if (waiting.size === 1) setImmediate(ask)
      return mine.promise
    },
    close() {
      child?.kill('SIGKILL')
      fail(new LookupError(`${name}: closed`))
    },
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
  return 'code' in error && error.code ? `postmap: ${error.code}` : 'postmap does not answer'
}

/** What tells whether TYPE:/PATH has changed; the same for ever where the name is no path. */
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
