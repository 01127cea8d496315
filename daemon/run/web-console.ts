/**
 * The console's thread, as the daemon sees it: there only while a configuration wants it. Nothing that goes
 * wrong with it is a failure of the daemon; `status` says so.
 */

import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Paths } from '../assembly/paths.ts'
import type { WebStatus } from '../control/protocol.ts'
import type { OpenLog } from '../log/logger.ts'
import type { Clock } from '../system/clock.ts'
import { describeError } from '../system/errors.ts'
import { KeptThread } from '../system/kept-thread.ts'
import { rateLimited } from '../system/rate-limited.ts'
import {
  SESSIONS_FILE,
  type WebAnswers,
  type WebNews,
  type WebQuestion,
  type WebSettings,
  type WebStart,
} from './web-messages.ts'

/** JavaScript's own memory. */
const MOST_HEAP_MEGABYTES = 256

/** Beside the bundle, or the source. */
const bundled = join(import.meta.dirname, 'web-thread.cjs')
const program = existsSync(bundled) ? bundled : join(import.meta.dirname, '../web/thread.ts')

const OFF: WebStatus = { state: 'off', address: '' }
const STARTING: WebStatus = { state: 'starting', address: '' }
const FAILED: WebStatus = { state: 'failed', address: '' }

export interface WebConsoleOptions {
  readonly paths: Paths
  readonly clock: Pick<Clock, 'after' | 'elapsed'>
  readonly log: () => Pick<OpenLog, 'error' | 'warning' | 'notice' | 'event'>
  /** Another one than the console's, in tests. */
  readonly program?: string
}

type Thread = KeptThread<WebQuestion, never, WebNews>

export class WebConsole {
  readonly #options: WebConsoleOptions
  readonly #complain: (message: string) => void
  #settings: WebSettings | undefined
  /** Whether there is to be one was told. */
  #isDecided = false
  #thread: Thread | undefined
  #status: WebStatus = OFF
  /** Starts and ends, one after the other: the next thread wants the same port and the same files. */
  #last: Promise<void> = Promise.resolve()

  constructor(options: WebConsoleOptions) {
    const { clock, log } = options
    this.#options = options
    this.#complain = rateLimited(clock, message => log().error(message))
  }

  /**
   * From now on it is as these settings say. undefined: there is none, and nobody is logged in any more, should it be
   * switched on again. Cannot fail.
   */
  use(settings: WebSettings | undefined): void {
    const isKnown = this.#isDecided && JSON.stringify(this.#settings) === JSON.stringify(settings)
    this.#isDecided = true
    if (isKnown) return
    this.#change(settings)
    if (settings === undefined) this.#last = this.#last.then(() => this.#endLogins())
  }

  #change(settings: WebSettings | undefined): void {
    this.#settings = settings
    this.#status = settings === undefined ? OFF : STARTING
    this.#last = this.#last.then(async () => {
      await this.#end()
      // Others may have come meanwhile.
      if (settings !== undefined && settings === this.#settings) this.#begin(settings)
    })
  }

  status(): WebStatus {
    return this.#status
  }

  /** Rejects with a message for the operator. */
  async ask<Name extends WebQuestion['what']>(
    question: Extract<WebQuestion, { what: Name }>,
  ): Promise<WebAnswers[Name]> {
    await this.#last
    if (!this.#thread) throw new Error('there is no web console; to start it: mtpolicyctl web on')
    // The thread answers each query by its name.
    return (await this.#thread.ask(question)) as WebAnswers[Name]
  }

  /** With the daemon: who is logged in stays so. Resolves when it no longer listens. */
  close(): Promise<void> {
    this.#change(undefined)
    return this.#last
  }

  #endLogins(): void {
    const file = join(this.#options.paths.state, SESSIONS_FILE)
    try {
      rmSync(file, { force: true })
    } catch (error) {
      this.#options.log().warning(`cannot remove ${file}: ${describeError(error)}`)
    }
  }

  #begin(settings: WebSettings): void {
    const { paths, clock } = this.#options
    const start: WebStart = { settings, paths }
    const thread: Thread = new KeptThread({
      program: this.#options.program ?? program,
      name: 'web console',
      start,
      mostHeap: MOST_HEAP_MEGABYTES,
      clock,
      said: news => this.#note(news),
      ended: why => {
        this.#status = { ...FAILED, problem: `its thread has ended: ${why}` }
        this.#complain(`the web console has failed, and is started again: ${why}`)
      },
    })
    this.#thread = thread
  }

  async #end(): Promise<void> {
    const thread = this.#thread
    this.#thread = undefined
    await thread?.close()
  }

  #note(news: WebNews): void {
    const log = this.#options.log()
    if (news.kind === 'log') {
      log[news.level](news.line)
      return
    }
    const { address, problem } = news
    // What an ending thread says is of no use any more.
    if (!this.#thread) return
    if (problem === undefined) {
      this.#thread.works()
      this.#status = { state: 'listening', address }
      log.notice('web console', { at: address })
      return
    }
    this.#status = { state: 'failed', address, problem }
    log.error(`no web console: ${problem}`)
  }
}
