/**
 * The history's thread: takes what the daemon leaves in the spool, and answers queries. A file that is
 * damaged is set aside and begun again; one that cannot be opened or written is tried again.
 */

import { rmSync } from 'node:fs'
import { type MessagePort, parentPort, workerData } from 'node:worker_threads'
import type { Gap } from '../policy/ports/history.ts'
import { describeError } from '../system/errors.ts'
import { giveWay } from '../system/give-way.ts'
import { Archive } from './archive.ts'
import { deleteOld, packOld } from './deletion.ts'
import { DAY } from './heads.ts'
import { answers, keepRecent, type QuestionName, type Questions } from './queries.ts'
import { spoolFilesOf } from './spool-files.ts'
import { dropCompanions, isUnusable, setAside } from './store.ts'
import type { FromThread, ThreadStart, ToThread } from './thread-messages.ts'

/** Between two looks into the spool. */
const LOOK_MILLISECONDS = 250
/** The oldest that is in memory only. */
const WRITE_MILLISECONDS = 60_000
/** After a failure. */
const AGAIN_MILLISECONDS = 5000
/** The answers to requests come first: this thread gets what they leave over. */
const NICE = 5

class HistoryThread {
  readonly #port: MessagePort
  readonly #start: ThreadStart
  #archive: Archive | undefined
  #problem: string | undefined
  /** What happened to the file that was there before. */
  #lost: Gap | undefined
  #writtenAt = performance.now()
  #notBefore = Number.NEGATIVE_INFINITY
  #now = Date.now()
  #told = ''
  /** The day on which old pages were packed last. */
  #packedOn = 0
  #isClosing = false

  constructor(port: MessagePort, start: ThreadStart) {
    this.#port = port
    this.#start = start
    port.on('message', (message: ToThread) => void this.#receive(message))
  }

  async run(): Promise<void> {
    while (!this.#isClosing) {
      await this.#work()
      await new Promise(resolve => setTimeout(resolve, LOOK_MILLISECONDS))
    }
  }

  async #work(): Promise<void> {
    if (performance.now() < this.#notBefore) return
    try {
      this.#look()
      const archive = this.#open()
      await archive.catchUp()
      const isDue = performance.now() - this.#writtenAt >= WRITE_MILLISECONDS
      if (isDue || archive.problem !== undefined) {
        this.#writtenAt = performance.now()
        if (!(await archive.write())) this.#rest()
      }
      this.#problem = archive.problem
    } catch (error) {
      this.#failed(error)
    }
    this.#tell()
  }

  #open(): Archive {
    if (this.#archive) return this.#archive
    const archive = new Archive(this.#start.path)
    this.#archive = archive
    if (this.#lost) archive.noteGap(this.#lost)
    this.#lost = undefined
    // Without them `top` takes longer.
    keepRecent(archive, this.#now).catch(error => this.#failed(error))
    return archive
  }

  /** A file that was deleted or replaced is written no longer; what the spool still has is read again. */
  #look(): void {
    if (!this.#archive || this.#archive.isInPlace) return
    this.#archive.close()
    this.#archive = undefined
    dropCompanions(this.#start.path)
    const why = 'the history was deleted or replaced while in use'
    this.#lost = { from: this.#now, to: this.#now, missing: 0, why }
  }

  #rest(): void {
    this.#notBefore = performance.now() + AGAIN_MILLISECONDS
  }

  #failed(error: unknown): void {
    if (this.#isClosing) return
    this.#problem = describeError(error)
    this.#rest()
    if (!isUnusable(error)) return
    this.#archive?.close()
    this.#archive = undefined
    try {
      const aside = setAside(this.#start.path, this.#now)
      const why = `the history was damaged (${this.#problem}), and is kept as ${aside}`
      this.#lost = { from: this.#now, to: this.#now, missing: 0, why }
      this.#notBefore = Number.NEGATIVE_INFINITY
      this.#problem = undefined
    } catch (second) {
      this.#problem = describeError(second)
    }
  }

  /** What has changed; the daemon needs it for `status` and to know how far the spool is taken. */
  #tell(): void {
    const archive = this.#archive
    const taken = archive?.taken
    const gaps = archive ? archive.gaps : this.#lost ? [this.#lost] : []
    const state: FromThread = { kind: 'state', taken, problem: this.#problem, gaps }
    const text = JSON.stringify(state)
    if (text === this.#told) return
    this.#told = text
    if (taken) this.#dropSpool(taken.file)
    this.#port.postMessage(state)
  }

  #dropSpool(before: number): void {
    try {
      for (const { path, number } of spoolFilesOf(this.#start.path)) {
        if (number < before) rmSync(path, { force: true })
      }
    } catch {
      // They are skipped at the next start, and tried again with the next portion.
    }
  }

  async #receive(message: ToThread): Promise<void> {
    switch (message.kind) {
      case 'ask':
        this.#port.postMessage(await this.#answer(message))
        break
      case 'tidy':
        await this.#tidy(message.now, message.days)
        break
      case 'close':
        this.#isClosing = true
        this.#archive?.close()
        this.#port.close()
    }
  }

  async #answer({
    id,
    question: { name, question, place },
  }: Extract<ToThread, { kind: 'ask' }>): Promise<FromThread> {
    try {
      const archive = this.#open()
      await archive.catchUp(place)
      const value = await answerOf(archive, name, question)
      this.#tell()
      return { kind: 'answer', id, value }
    } catch (error) {
      this.#failed(error)
      return { kind: 'failure', id, message: describeError(error) }
    }
  }

  async #tidy(now: number, days: number): Promise<void> {
    this.#now = now
    const archive = this.#archive
    if (!archive) return
    try {
      await keepRecent(archive, now)
      await deleteOld(archive, now, days)
      const day = Math.floor(now / DAY)
      if (day !== this.#packedOn) await packOld(archive, now)
      this.#packedOn = day
    } catch (error) {
      this.#failed(error)
    }
  }
}

/** The table gives each name the answer to its own kind of query. */
function answerOf<Name extends QuestionName>(
  archive: Archive,
  name: Name,
  question: Questions[Name],
) {
  return answers[name](archive, question)
}

if (parentPort) {
  giveWay(NICE)
  // Started by running-thread.ts, with just that.
  void new HistoryThread(parentPort, workerData as ThreadStart).run()
}
