/**
 * The daemon's end of the history: verdicts go into a buffer, and the buffer soon into a file, from which the
 * history's thread takes them: refusals at the end of the turn, accepted mail at most 2 ms later, because each
 * write costs as much as several records. Nothing here waits, and nothing throws: what cannot be kept is
 * counted as a gap, which is written once there is room again.
 *
 * A kill -9 loses at most what was answered in the same turn, and accepted mail of the last 2 ms; codes that
 * were lost so are not given again.
 */

import { closeSync, ftruncateSync, writeSync } from 'node:fs'
import { DECISION_CODES, decisionCode } from '../policy/decision-code.ts'
import type { Gap, SeenStep } from '../policy/ports/history.ts'
import { refusesMail } from '../policy/verdict.ts'
import type { VerdictRecord } from '../policy/verdict-record.ts'
import type { Cancel, Clock } from '../system/clock.ts'
import { describeError } from '../system/errors.ts'
import { FrameWriter } from './frame-writer.ts'
import { beginFile, filesOrNone, inodeOf, lastCodeIn, type SpoolPlace } from './spool-files.ts'
import { FILE_HEAD, STAGES } from './spool-format.ts'
import { ToldOnce } from './told-once.ts'

/** Then the next file is begun. */
const FILE_BYTES = 4 * 1024 * 1024
/** What the history has not taken yet; beyond that, accepted mail is not noted. */
const MOST_UNREAD_BYTES = 64 * 1024 * 1024
/** Beyond that, refusals are not noted either. */
const MOST_UNREAD_REFUSALS_BYTES = 80 * 1024 * 1024
/** A code's number is at least the time in this unit: the codes of 400 days, should the spool be lost. */
const CODE_MILLISECONDS = 40
/** At a start: more than a frame has room for, which is what a kill loses of the codes that were sent. */
const CODES_LEFT_OUT = 10_000
/** Between two writes, unless there is a refusal. */
const WRITE_MILLISECONDS = 2
/** After a failure, before the next attempt. */
const REST_MILLISECONDS = 1000

const BEHIND = 'the history did not keep up'

type SpoolClock = Pick<Clock, 'now' | 'elapsed' | 'after'>

interface Missing {
  from: number
  to: number
  missing: number
  why: string
}

export class Spool {
  readonly #path: string
  readonly #clock: SpoolClock
  readonly #frame = new FrameWriter()
  /** Files that are not taken yet; the last one is being written. */
  #files: { readonly path: string; readonly number: number; bytes: number }[]
  /** Where the thread has stopped reading for good. */
  #taken: SpoolPlace = { file: 0, offset: 0 }
  #lastNumber: number
  #open: { readonly fd: number; readonly inode: number } | undefined
  #lastCode: number
  #missing: Missing | undefined
  /** It is written at the end of this turn. */
  #isDue = false
  #cancelWrite: Cancel | undefined
  /** `Clock.elapsed` from which accepted mail is written at the end of the turn. */
  #nextWriteAt = Number.NEGATIVE_INFINITY
  /** Bytes that are not taken yet. */
  #unread = 0
  /** `Clock.elapsed` of the earliest next attempt. */
  #restUntil = Number.NEGATIVE_INFINITY
  readonly #told = new ToldOnce()
  #isClosed = false
  /** Verdicts, and steps of refusals, that were noted; and those that could not be kept. */
  noted = 0
  lost = 0
  /** What keeps it from being written. */
  problem: string | undefined

  /** The spool of the history in `path`. Nothing is written before there is something to write. */
  constructor(path: string, clock: SpoolClock) {
    this.#path = path
    this.#clock = clock
    const files = filesOrNone(path)
    this.#files = files.map(({ path, number, bytes }) => ({ path, number, bytes }))
    this.#lastNumber = files.at(-1)?.number ?? 0
    const codes = files.slice(-2).map(file => lastCodeIn(file.path))
    this.#lastCode = codes.length === 0 ? 0 : Math.max(...codes) + CODES_LEFT_OUT
    this.#countUnread()
  }

  nextCode(): string {
    const time = Math.floor(this.#clock.now() / CODE_MILLISECONDS)
    this.#lastCode = Math.max(this.#lastCode + 1, time)
    return decisionCode(this.#lastCode % DECISION_CODES)
  }

  note(record: VerdictRecord): void {
    const { action: sent, request } = record
    // Without an answer Postfix has neither accepted nor refused it.
    if (sent === undefined || this.#isClosed) return
    const isRefusal = refusesMail(sent)
    const stage = STAGES.indexOf(request.stage ?? '')
    if (!isRefusal && (stage === 0 || !this.#told.tells(request, stage))) return
    if (!this.#hasSpace(isRefusal)) return
    const { account } = record
    if (isRefusal) this.#frame.refused(record, stage, account, sent)
    else this.#frame.accepted(record, stage, account, sent)
    this.#noted(isRefusal)
  }

  explained(code: string, steps: readonly SeenStep[]): void {
    // A rehearsal may end later than its history.
    if (this.#isClosed || !this.#hasSpace(true)) return
    this.#frame.explained(code, steps)
    this.#noted(true)
  }

  /** Writes what was noted. The place behind it. */
  flush(): SpoolPlace {
    this.#isDue = false
    this.#cancelWrite?.()
    this.#cancelWrite = undefined
    if (!this.#frame.isEmpty) this.#write()
    const last = this.#files.at(-1)
    return { file: last?.number ?? this.#lastNumber, offset: last?.bytes ?? 0 }
  }

  /** From now on another file is written, so that the thread can delete this one. The place in it. */
  rotate(): SpoolPlace {
    const place = this.flush()
    if (place.offset <= FILE_HEAD) return place
    this.#leave()
    try {
      this.#begin()
    } catch (error) {
      this.#failed(error)
    }
    return this.flush()
  }

  /** Everything before that place is kept elsewhere. */
  taken(place: SpoolPlace): void {
    this.#taken = place
    this.#files = this.#files.filter(
      ({ number }, i) => number >= place.file || i === this.#files.length - 1,
    )
    this.#countUnread()
  }

  /** To be called now and then: a file that was deleted or replaced is written no longer. */
  look(): void {
    const file = this.#files.at(-1)
    if (this.#open && file && inodeOf(file.path) !== this.#open.inode) {
      this.#leave()
      this.#lose(1, 'a file of the spool was deleted')
    }
    // Without any mail it would not be known after a kill, and a disk that has room again still be a problem.
    if (this.#missing) this.#write()
  }

  /** What the history's thread has not taken yet. */
  get unreadBytes(): number {
    return this.#unread
  }

  /** What could not be noted, until that is written itself. */
  get gap(): Gap | undefined {
    return this.#missing && { ...this.#missing }
  }

  close(): void {
    this.flush()
    if (this.#missing) this.#write()
    this.#leave()
    this.#isClosed = true
  }

  #noted(isUrgent: boolean): void {
    this.noted++
    if (!this.#frame.hasRoom) this.#write()
    if (this.#isDue || (this.#cancelWrite && !isUrgent)) return
    const early = this.#nextWriteAt - this.#clock.elapsed()
    if (early > 0 && !isUrgent) {
      this.#cancelWrite = this.#clock.after(early, () => this.flush())
      return
    }
    this.#isDue = true
    queueMicrotask(() => this.flush())
  }

  #hasSpace(isRefusal: boolean): boolean {
    const most = isRefusal ? MOST_UNREAD_REFUSALS_BYTES : MOST_UNREAD_BYTES
    if (this.#unread <= most) return true
    this.#lose(1, BEHIND)
    return false
  }

  #countUnread(): void {
    this.#unread = 0
    for (const { number, bytes } of this.#files) {
      if (number < this.#taken.file) continue
      this.#unread += bytes - (number === this.#taken.file ? this.#taken.offset : FILE_HEAD)
    }
  }

  #lose(records: number, why: string): void {
    this.lost += records
    const now = this.#clock.now()
    const missing = this.#missing
    if (!missing) this.#missing = { from: now, to: now, missing: records, why }
    else {
      missing.to = Math.max(missing.to, now)
      missing.missing += records
    }
  }

  #write(): void {
    const frame = this.#frame
    const { records } = frame
    const missing = this.#missing
    if (this.problem !== undefined && this.#clock.elapsed() < this.#restUntil) {
      this.#lose(records, this.problem)
      frame.clear()
      return
    }
    try {
      const isTold = missing !== undefined && frame.hasRoom
      if (isTold) frame.missed(missing)
      this.#append(frame.sealed(this.#lastCode))
      if (isTold) this.#missing = undefined
      this.problem = undefined
    } catch (error) {
      this.#failed(error)
      this.#lose(records, this.problem ?? '')
    }
    frame.clear()
    this.#nextWriteAt = this.#clock.elapsed() + WRITE_MILLISECONDS
    this.#countUnread()
  }

  #failed(error: unknown): void {
    this.problem = describeError(error)
    this.#restUntil = this.#clock.elapsed() + REST_MILLISECONDS
  }

  #append(bytes: Uint8Array): void {
    const last = this.#files.at(-1)
    if (!this.#open || !last || last.bytes + bytes.length > FILE_BYTES) this.#begin()
    const file = this.#files.at(-1)
    if (!this.#open || !file) return
    const { fd } = this.#open
    let written = 0
    try {
      written = writeSync(fd, bytes)
      if (written < bytes.length) throw new Error('no space left on device')
      file.bytes += written
    } catch (error) {
      // What follows a part of a frame would not be found.
      if (written > 0) this.#cut(fd, file.bytes)
      throw error
    }
  }

  #cut(fd: number, bytes: number): void {
    try {
      ftruncateSync(fd, bytes)
    } catch {
      this.#leave()
    }
  }

  #begin(): void {
    this.#leave()
    const number = Math.max(this.#lastNumber, filesOrNone(this.#path).at(-1)?.number ?? 0) + 1
    // If there is something else of this name, the next attempt takes another one.
    this.#lastNumber = number
    const { path, fd, inode } = beginFile(this.#path, number, this.#lastCode)
    this.#open = { fd, inode }
    this.#files.push({ path, number, bytes: FILE_HEAD })
  }

  #leave(): void {
    const left = this.#open
    this.#open = undefined
    if (left) closeSync(left.fd)
  }
}
