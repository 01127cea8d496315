/**
 * A thread that is kept running: started some time after the daemon, or when it is first needed, and again
 * when it has ended by itself, each time after a longer rest. Queries while it is not there are refused.
 */

import { Worker } from 'node:worker_threads'
import type { Cancel, Clock } from './clock.ts'
import { describeError } from './errors.ts'

/** At the daemon's start its first answers come first; a query does not wait for that. */
const START_MILLISECONDS = 1000
/** A thread that ends is started again after so long; each time after twice as long. */
const SHORTEST_REST_MILLISECONDS = 1000
const LONGEST_REST_MILLISECONDS = 60_000
const CLOSING_MILLISECONDS = 5000
/** After that it is told to end at once, wherever it is. */
const ENDING_MILLISECONDS = 1000
/** Queries that wait for their answers. */
const MOST_WAITING = 1000

interface Waiting {
  readonly resolve: (value: unknown) => void
  readonly reject: (error: Error) => void
}

/** What any of these threads is told besides its own messages. */
export interface AskMessage<Question> {
  readonly kind: 'ask'
  readonly id: number
  readonly question: Question
}
export interface CloseMessage {
  readonly kind: 'close'
}
/** What it says to these. */
export type AnswerMessage =
  | { readonly kind: 'answer'; readonly id: number; readonly value: unknown }
  | { readonly kind: 'failure'; readonly id: number; readonly message: string }

export interface KeptThreadOptions<From> {
  /** The file of its program. */
  readonly program: string
  /** What the thread and messages to the user call it: history. */
  readonly name: string
  /** Its `workerData`. */
  readonly start: unknown
  /** JavaScript's own memory, in megabytes. */
  readonly mostHeap: number
  readonly clock: Pick<Clock, 'after'>
  /** Gets what it says, but for answers. */
  readonly said: (message: From) => void
  /** For the log: it is started again. */
  readonly ended: (why: string) => void
}

export class KeptThread<Question, To, From extends { readonly kind: string }> {
  readonly #options: KeptThreadOptions<From>
  readonly #waiting = new Map<number, Waiting>()
  #worker: Worker | undefined
  #lastId = 0
  #rest = SHORTEST_REST_MILLISECONDS
  #cancel: Cancel | undefined
  #hasBegun = false
  #isClosed = false
  /** Why it does not run; its own problems are its owner's to set. */
  problem: string | undefined

  constructor(options: KeptThreadOptions<From>) {
    this.#options = options
    this.#cancel = options.clock.after(START_MILLISECONDS, () => this.#begin())
  }

  /** The value is what the thread has for such a query: the caller knows. */
  ask(question: Question): Promise<unknown> {
    if (!this.#hasBegun && !this.#isClosed) this.#begin()
    return new Promise((resolve, reject) => {
      if (!this.#worker || this.#waiting.size >= MOST_WAITING) {
        const { name } = this.#options
        reject(new Error(`the ${name} cannot be read now (${this.problem ?? 'it is busy'})`))
        return
      }
      const id = ++this.#lastId
      this.#waiting.set(id, { resolve, reject })
      this.#worker.ref()
      this.#post({ kind: 'ask', id, question })
    })
  }

  send(message: To): void {
    this.#post(message)
  }

  /** It works: should it end, it is started again soon. */
  works(): void {
    this.#rest = SHORTEST_REST_MILLISECONDS
  }

  /** Resolves when it has ended, or cannot be ended: what hangs in the system, such as at a dead file server. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#cancel?.()
    const worker = this.#worker
    if (!worker) return
    const exited = new Promise<void>(resolve => void worker.once('exit', () => resolve()))
    this.#post({ kind: 'close' })
    worker.ref()
    const late = Promise.withResolvers<void>()
    const timers = [
      setTimeout(() => void worker.terminate(), CLOSING_MILLISECONDS),
      setTimeout(late.resolve, CLOSING_MILLISECONDS + ENDING_MILLISECONDS),
    ]
    await Promise.race([exited, late.promise])
    for (const timer of timers) clearTimeout(timer)
    worker.unref()
  }

  #post(message: To | AskMessage<Question> | CloseMessage): void {
    this.#worker?.postMessage(message)
  }

  #begin(): void {
    this.#cancel?.()
    this.#hasBegun = true
    const { program, name, start, mostHeap } = this.#options
    let why = 'it has ended'
    let worker: Worker
    try {
      worker = new Worker(program, {
        workerData: start,
        execArgv: [],
        name,
        resourceLimits: { maxOldGenerationSizeMb: mostHeap },
      })
    } catch (error) {
      // The system allows no more threads, for instance: perhaps it does later.
      this.#ended(describeError(error))
      return
    }
    this.#worker = worker
    worker.unref()
    worker.on('message', (message: From | AnswerMessage) => this.#receive(message))
    worker.on('error', error => {
      why = describeError(error)
    })
    worker.once('exit', () => this.#ended(why))
  }

  #receive(message: From | AnswerMessage): void {
    if (!isAnswer(message)) {
      this.#options.said(message)
      return
    }
    const waiting = this.#waiting.get(message.id)
    this.#waiting.delete(message.id)
    if (this.#waiting.size === 0) this.#worker?.unref()
    if (message.kind === 'answer') waiting?.resolve(message.value)
    else waiting?.reject(new Error(message.message))
  }

  #ended(why: string): void {
    const { name, clock, ended } = this.#options
    this.#worker = undefined
    for (const { reject } of this.#waiting.values()) reject(new Error(`the ${name} failed: ${why}`))
    this.#waiting.clear()
    if (this.#isClosed) return
    this.problem = `its thread has ended: ${why}`
    ended(why)
    this.#cancel = clock.after(this.#rest, () => this.#begin())
    this.#rest = Math.min(this.#rest * 2, LONGEST_REST_MILLISECONDS)
  }
}

function isAnswer(message: { readonly kind: string }): message is AnswerMessage {
  return message.kind === 'answer' || message.kind === 'failure'
}
