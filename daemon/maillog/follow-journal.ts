/**
 * Follows systemd's journal through journalctl, which is started again when it ends, after a second, and
 * after ever longer pauses if it ends again and again.
 */

import type { ChildProcess } from 'node:child_process'
import type { Cancel, Clock } from '../system/clock.ts'
import { describeError } from '../system/errors.ts'
import { type Following, READ_BACK_MILLISECONDS, type TakeLines } from './following.ts'
import { JOURNAL_FIELDS } from './journal-entry.ts'
import { Lines } from './lines.ts'

const SHORTEST_PAUSE_MILLISECONDS = 1000
const LONGEST_PAUSE_MILLISECONDS = 60_000
/** After a start that lasts as long, a failure is the first one again. */
const SOUND_MILLISECONDS = 60_000
/** Between SIGTERM and SIGKILL. */
const END_MILLISECONDS = 2000
/** When it starts again: what it may have read and not written yet. */
const AGAIN_MILLISECONDS = 5000
/** What it complains is kept so far, from its end. */
const LONGEST_COMPLAINT = 300

export const JOURNAL = 'journal'

export interface FollowJournalOptions {
  /** Only what these programs of Postfix log. */
  readonly programs: readonly string[]
  readonly clock: Clock
  readonly take: TakeLines
  /** The default is journalctl, wherever PATH finds it. */
  readonly journalctl?: string
}

export function followJournal(options: FollowJournalOptions): Following {
  const follower = new JournalFollower(options)
  follower.start()
  return follower
}

class JournalFollower implements Following {
  readonly source = JOURNAL
  readonly #options: FollowJournalOptions
  readonly #clock: Clock
  #child: ChildProcess | undefined
  #ended: Promise<void> = Promise.resolve()
  #taken: void | Promise<void> = undefined
  #problem: string | undefined
  #pause = SHORTEST_PAUSE_MILLISECONDS
  #cancel: Cancel | undefined
  /** From when on it is read, wall clock, milliseconds. */
  #since: number
  #isMerged = true
  #isStopped = false

  constructor(options: FollowJournalOptions) {
    this.#options = options
    this.#clock = options.clock
    this.#since = this.#clock.now() - READ_BACK_MILLISECONDS
  }

  get problem(): string | undefined {
    return this.#problem
  }

  start(): void {
    const { spawn } = process.getBuiltinModule('node:child_process')
    const program = this.#options.journalctl ?? 'journalctl'
    const child = spawn(program, this.#argv, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, LC_ALL: 'C' },
    })
    const began = this.#clock.elapsed()
    let complaint = ''
    this.#child = child
    child.stderr.setEncoding('utf8').on('data', text => {
      complaint = `${complaint}${text}`.slice(-LONGEST_COMPLAINT)
    })
    this.#readFrom(child)
    // 'close' comes after the last byte, also if it could not be started.
    this.#ended = new Promise(resolve => {
      child.on('error', error => {
        complaint = describeError(error)
      })
      child.on('close', (status, signal) => {
        this.#child = undefined
        // systemd 251 and the first versions of 252 do not take it together with --follow.
        if (complaint.includes('--merge')) this.#isMerged = false
        const why = complaint.trim() || `ended with ${signal ?? `status ${status}`}`
        this.#endedAfter(this.#clock.elapsed() - began, `journalctl: ${why}`)
        resolve()
      })
    })
  }

  get #argv(): string[] {
    const since = Math.max(0, Math.floor(this.#since / 1000))
    return [
      '--follow',
      '--no-tail',
      '--no-pager',
      '--quiet',
      // Else a long text is left out.
      '--all',
      '--output=json',
      `--output-fields=${JOURNAL_FIELDS.join(',')}`,
      `--since=@${since}`,
      // Else it asks the kernel which boot this is, and the unit's ProcSubset=pid hides that.
      ...(this.#isMerged ? ['--merge'] : []),
      // By the name of the process, since the syslog name may be anything.
      ...this.#options.programs.map(name => `_COMM=${name}`),
    ]
  }

  #readFrom({ stdout }: ChildProcess): void {
    const lines = new Lines()
    stdout?.on('data', (chunk: Buffer) => {
      const whole = lines.push(chunk)
      if (whole.length === 0) return
      this.#problem = undefined
      this.#since = this.#clock.now() - AGAIN_MILLISECONDS
      const taken = this.#options.take(whole)
      if (!(taken instanceof Promise)) return
      stdout.pause()
      this.#taken = taken.finally(() => stdout.resume())
    })
  }

  #endedAfter(milliseconds: number, problem: string): void {
    if (this.#isStopped) return
    this.#problem = problem
    if (milliseconds >= SOUND_MILLISECONDS) this.#pause = SHORTEST_PAUSE_MILLISECONDS
    this.#cancel = this.#clock.after(this.#pause, () => {
      this.#problem = undefined
      this.start()
    })
    this.#pause = Math.min(2 * this.#pause, LONGEST_PAUSE_MILLISECONDS)
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    this.#cancel?.()
    const child = this.#child
    child?.stdout?.resume()
    child?.kill('SIGTERM')
    const cancel = this.#clock.after(END_MILLISECONDS, () => child?.kill('SIGKILL'))
    await this.#ended
    cancel()
    await this.#taken
  }
}
