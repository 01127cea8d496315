/**
 * Where log lines go: a file descriptor, written to without ever waiting for it.
 *
 * All lines of one turn of the event loop are one write, under load those of several turns. While a write
 * is under way lines are collected, up to a bound; what does not fit is dropped and counted, and the
 * count is written as soon as there is room: a blocked pipe costs log lines, never an answer.
 */

import { constants, openSync, write } from 'node:fs'
import type { Counter, MeterDeclaration } from '../policy/ports/meters.ts'
import { type Clock, systemClock } from '../system/clock.ts'
import { LineBuffer } from './line-buffer.ts'

export interface Destination {
  write(text: string): void
  /** As `write`, for a line that `put` adds; nothing remains of one that throws. */
  compose(put: (line: LineBuffer) => void): void
  /** Lines dropped since the start. */
  readonly dropped: number
  /** Resolves when everything is written, at the latest after a moment. For the end of the process. */
  flush(): Promise<void>
  /** Continues with another file, e.g. after logrotate; resolves when the old one is no longer written to. */
  redirect(fd: number): Promise<void>
}

/** Opening a named pipe does not wait for a reader, nor writing for room. */
const APPEND = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NONBLOCK

const MOST_WAITING_BYTES = 4 * 1024 * 1024
/** The size a buffer has at first, and keeps. */
const USUAL_BYTES = 64 * 1024
const FLUSH_MILLISECONDS = 500
const STEP_MILLISECONDS = 2
/** Until a pipe is tried again that has no room. */
const FULL_MILLISECONDS = 20
/** After a write the next one waits this long: a single line is written at once, under load many together. */
const REST_MILLISECONDS = 5

/** Throws if it cannot be opened, or is a named pipe without a reader. */
export function openLogFile(path: string): number {
  try {
    return openSync(path, APPEND, 0o640)
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENXIO')) throw error
    throw new Error(`log_file ${path} is a named pipe or a socket that nobody reads`, {
      cause: error,
    })
  }
}

export const DROPPED_LINES: MeterDeclaration = {
  name: 'log_lines_dropped',
  unit: 'lines',
  help: 'Log lines dropped because the reader of the log did not keep up.',
}

/** `dropped` counts the lines that nobody reads in time; `clock` is the system's by default. */
export function openDestination(
  fd: number,
  droppedLine: (count: number) => string,
  { dropped = { value: 0 }, clock = systemClock }: { dropped?: Counter; clock?: Clock } = {},
): Destination {
  return new Descriptor(fd, droppedLine, dropped, clock)
}

class Descriptor implements Destination {
  readonly #droppedLine: (count: number) => string
  readonly #clock: Clock
  #fd: number
  #phase: 'idle' | 'scheduled' | 'writing' = 'idle'
  #waiting = new LineBuffer(USUAL_BYTES)
  /** The buffer of the write before, to be filled next. */
  #spare = new LineBuffer(USUAL_BYTES)
  #restsUntil = 0
  readonly #dropped: Counter
  /** Dropped lines that have not been reported yet. */
  #unreported = 0
  /** Called when the write under way has ended: it may be the last one to a file. */
  readonly #whenWritten: (() => void)[] = []

  constructor(fd: number, droppedLine: (count: number) => string, dropped: Counter, clock: Clock) {
    this.#fd = fd
    this.#dropped = dropped
    this.#droppedLine = droppedLine
    this.#clock = clock
  }

  get dropped(): number {
    return this.#dropped.value
  }

  write(text: string): void {
    this.compose(line => line.text(text))
  }

  compose(put: (line: LineBuffer) => void): void {
    const waiting = this.#waiting
    if (waiting.length > MOST_WAITING_BYTES) {
      this.#dropped.value++
      this.#unreported++
      return
    }
    const { length } = waiting
    try {
      put(waiting)
    } catch (error) {
      waiting.cutTo(length)
      throw error
    }
    if (this.#phase === 'idle') this.#schedule()
  }

  async flush(): Promise<void> {
    // A reader that is slow or gone must not keep the process from ending.
    for (let waited = 0; waited < FLUSH_MILLISECONDS; waited += STEP_MILLISECONDS) {
      if (this.#phase !== 'writing') this.#next()
      if (this.#isIdle) return
      await this.#clock.sleep(STEP_MILLISECONDS)
    }
  }

  redirect(fd: number): Promise<void> {
    this.#fd = fd
    if (this.#phase !== 'writing') return Promise.resolve()
    return new Promise(resolve => this.#whenWritten.push(resolve))
  }

  get #isIdle(): boolean {
    return this.#phase === 'idle'
  }

  #schedule(): void {
    this.#phase = 'scheduled'
    const rest = this.#restsUntil - this.#clock.elapsed()
    // It keeps the process alive: the last lines are to be written as well.
    if (rest > 0) void this.#clock.sleep(rest).then(() => this.#due())
    else setImmediate(() => this.#due())
  }

  /** `flush` may have come first. */
  #due(): void {
    if (this.#phase === 'scheduled') this.#next()
  }

  #next(): void {
    this.#phase = 'idle'
    if (this.#waiting.length === 0) return
    if (this.#unreported > 0) {
      this.#waiting.text(this.#droppedLine(this.#unreported))
      this.#unreported = 0
    }
    const full = this.#waiting
    this.#waiting = this.#spare
    this.#waiting.cutTo(0)
    this.#phase = 'writing'
    this.#restsUntil = this.#clock.elapsed() + REST_MILLISECONDS
    this.#writeAll(full, 0)
  }

  #writeAll(lines: LineBuffer, from: number): void {
    const { bytes, length } = lines
    write(this.#fd, bytes, from, length - from, null, (error, written) => {
      for (const tell of this.#whenWritten.splice(0)) tell()
      if (error && 'code' in error && error.code === 'EAGAIN') {
        void this.#clock.sleep(FULL_MILLISECONDS).then(() => this.#writeAll(lines, from))
      } else if (!error && from + written < length) {
        this.#writeAll(lines, from + written)
      } else {
        // A log that cannot be written (disk full, reader gone) is not a reason to stop.
        this.#phase = 'idle'
        this.#spare = bytes.length > USUAL_BYTES ? new LineBuffer(USUAL_BYTES) : lines
        if (this.#waiting.length > 0) this.#schedule()
      }
    })
  }
}
