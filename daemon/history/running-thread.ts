/**
 * The daemon's side of the history's thread: starts it, and again when it has ended by itself; passes queries
 * to it. Nothing here is on the path of a request.
 */

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import type { Gap } from '../policy/ports/history.ts'
import type { Cancel, Clock } from '../system/clock.ts'
import { describeError } from '../system/errors.ts'
import type { Answers, QuestionName, Questions } from './queries.ts'
import type { SpoolPlace } from './spool-files.ts'
import type { FromThread, ThreadStart, ToThread } from './thread-messages.ts'

/** At the daemon's start its first answers come first; a query does not wait for that. */
const START_MILLISECONDS = 1000
/** A thread that ends is started again after so long; each time after twice as long. */
const SHORTEST_REST_MILLISECONDS = 1000
const LONGEST_REST_MILLISECONDS = 60_000
const CLOSING_MILLISECONDS = 5000
/** Queries that wait for their answers. */
const MOST_WAITING = 1000
/** JavaScript's own memory; tables and portions are outside of it. */
const MOST_HEAP_MEGABYTES = 512

/** Beside the bundle, or the source. */
const bundled = join(import.meta.dirname, 'history-thread.cjs')
const program = existsSync(bundled) ? bundled : join(import.meta.dirname, 'thread.ts')

interface Waiting {
  readonly resolve: (value: unknown) => void
  readonly reject: (error: Error) => void
}

export interface ThreadOptions extends ThreadStart {
  /** Another one than the history's, in tests. */
  readonly program?: string
  readonly clock: Pick<Clock, 'after'>
  /** Up to here the spool is no longer needed. */
  readonly taken: (place: SpoolPlace) => void
  /** For the log: it was started again. */
  readonly ended: (why: string) => void
}

export class RunningThread {
  readonly #options: ThreadOptions
  readonly #waiting = new Map<number, Waiting>()
  #worker: Worker | undefined
  #lastId = 0
  #rest = SHORTEST_REST_MILLISECONDS
  #cancel: Cancel | undefined
  #hasBegun = false
  #isClosed = false
  problem: string | undefined
  gaps: readonly Gap[] = []

  constructor(options: ThreadOptions) {
    this.#options = options
    this.#cancel = options.clock.after(START_MILLISECONDS, () => this.#begin())
  }

  /** `place`: what was noted before it is part of the answer. */
  ask<Name extends QuestionName>(
    name: Name,
    question: Questions[Name],
    place: SpoolPlace,
  ): Promise<Answers[Name]> {
    if (!this.#hasBegun) this.#begin()
    return new Promise((resolve, reject) => {
      if (!this.#worker || this.#waiting.size >= MOST_WAITING) {
        reject(new Error(`the history cannot be read now (${this.problem ?? 'it is busy'})`))
        return
      }
      const id = ++this.#lastId
      // The thread answers each query by its name.
      this.#waiting.set(id, { resolve: value => resolve(value as Answers[Name]), reject })
      this.#worker.ref()
      this.#send({ kind: 'ask', id, name, question, place })
    })
  }

  tidy(now: number, days: number): void {
    this.#send({ kind: 'tidy', now, days })
  }

  /** Resolves when the file is closed. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#cancel?.()
    const worker = this.#worker
    if (!worker) return
    const exited = new Promise<void>(resolve => void worker.once('exit', () => resolve()))
    this.#send({ kind: 'close' })
    worker.ref()
    const timer = setTimeout(() => void worker.terminate(), CLOSING_MILLISECONDS)
    await exited
    clearTimeout(timer)
  }

  #send(message: ToThread): void {
    this.#worker?.postMessage(message)
  }

  #begin(): void {
    this.#cancel?.()
    this.#hasBegun = true
    const start: ThreadStart = { path: this.#options.path }
    let why = 'it has ended'
    const worker = new Worker(this.#options.program ?? program, {
      workerData: start,
      execArgv: [],
      name: 'history',
      resourceLimits: { maxOldGenerationSizeMb: MOST_HEAP_MEGABYTES },
    })
    this.#worker = worker
    worker.unref()
    worker.on('message', (message: FromThread) => this.#receive(message))
    worker.on('error', error => {
      why = describeError(error)
    })
    worker.once('exit', () => this.#ended(why))
  }

  #receive(message: FromThread): void {
    if (message.kind === 'state') {
      this.problem = message.problem
      this.gaps = message.gaps
      if (message.problem === undefined) this.#rest = SHORTEST_REST_MILLISECONDS
      if (message.taken) this.#options.taken(message.taken)
      return
    }
    const waiting = this.#waiting.get(message.id)
    this.#waiting.delete(message.id)
    if (this.#waiting.size === 0) this.#worker?.unref()
    if (message.kind === 'answer') waiting?.resolve(message.value)
    else waiting?.reject(new Error(message.message))
  }

  #ended(why: string): void {
    this.#worker = undefined
    for (const { reject } of this.#waiting.values()) reject(new Error(`the history failed: ${why}`))
    this.#waiting.clear()
    if (this.#isClosed) return
    this.problem = `its thread has ended: ${why}`
    this.#options.ended(why)
    this.#cancel = this.#options.clock.after(this.#rest, () => this.#begin())
    this.#rest = Math.min(this.#rest * 2, LONGEST_REST_MILLISECONDS)
  }
}
