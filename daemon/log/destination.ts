/**
 * Where log lines go: a file descriptor, written to without ever waiting for it.
 *
 * All lines of one turn of the event loop are one write, under load those of several. While a write
 * is under way lines are collected, up to a bound; what does not fit is dropped and counted, and the
 * count is written as soon as there is room: a blocked pipe costs log lines, never an answer.
 */

import { constants, openSync, write } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { LineBuffer } from './line-buffer.ts'

export interface Destination {
  write(text: string): void
  /** As `write`, of a line that `put` adds; nothing is left of one that throws. */
  compose(put: (line: LineBuffer) => void): void
  /** Lines dropped since start. */
  readonly dropped: number
  /** Ends when all is written, at the latest after a moment. For the end of the process. */
  flush(): Promise<void>
  /** Goes on with another file, e.g. after logrotate. */
  redirect(fd: number): void
}

/** A named pipe is not waited for: neither for somebody who reads it nor for room in it. */
const APPEND = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NONBLOCK

const MOST_WAITING_BYTES = 4 * 1024 * 1024
/** As much room as a buffer has at first, and keeps. */
const USUAL_BYTES = 64 * 1024
const FLUSH_MILLISECONDS = 500
const STEP_MILLISECONDS = 2
/** After a write the next one waits this long: alone a line goes at once, under load many go together. */
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

export function openDestination(fd: number, droppedLine: (count: number) => string): Destination {
  let target = fd
  let waiting = new LineBuffer(USUAL_BYTES)
  /** Of the write before, to be filled next. */
  let spare = new LineBuffer(USUAL_BYTES)
  let isWriting = false
  let isDue = false
  let restsUntil = 0
  let dropped = 0
  let unreported = 0

  function schedule(): void {
    if (isDue || isWriting) return
    isDue = true
    const rest = restsUntil - performance.now()
    if (rest > 0) setTimeout(next, rest)
    else setImmediate(next)
  }

  function next(): void {
    isDue = false
    if (isWriting || waiting.length === 0) return
    if (unreported > 0) {
      waiting.text(droppedLine(unreported))
      unreported = 0
    }
    const full = waiting
    waiting = spare
    waiting.cutTo(0)
    isWriting = true
    restsUntil = performance.now() + REST_MILLISECONDS
    writeAll(full, 0)
  }

  function writeAll(lines: LineBuffer, from: number): void {
    const { bytes, length } = lines
    write(target, bytes, from, length - from, null, (error, written) => {
      if (error && 'code' in error && error.code === 'EAGAIN') {
        setTimeout(() => writeAll(lines, from), 20)
      } else if (!error && from + written < length) {
        writeAll(lines, from + written)
      } else {
        // A log that cannot be written (disk full, reader gone) is no reason to stop.
        isWriting = false
        spare = bytes.length > USUAL_BYTES ? new LineBuffer(USUAL_BYTES) : lines
        if (waiting.length > 0) schedule()
      }
    })
  }

  function compose(put: (line: LineBuffer) => void): void {
    if (waiting.length > MOST_WAITING_BYTES) {
      dropped++
      unreported++
      return
    }
    const { length } = waiting
    try {
      put(waiting)
    } catch (error) {
      waiting.cutTo(length)
      throw error
    }
    schedule()
  }

  return {
    write: text => compose(line => line.text(text)),
    compose,
    get dropped() {
      return dropped
    },
    async flush() {
      // A reader that is slow or gone must not hold the end for ever.
      for (let waited = 0; waited < FLUSH_MILLISECONDS; waited += STEP_MILLISECONDS) {
        next()
        if (!isWriting) return
        await sleep(STEP_MILLISECONDS)
      }
    },
    redirect(other) {
      target = other
    },
  }
}
