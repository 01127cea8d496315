/**
 * Where log lines go: a file descriptor, written to without ever waiting for it.
 *
 * All lines of one turn of the event loop are one write, under load those of several. While a write
 * is under way lines are collected, up to a bound; what does not fit is dropped and counted, and the
 * count is written as soon as there is room: a blocked pipe costs log lines, never an answer.
 *
 * Lines wait as bytes: as texts, put together of pieces of a request, they would keep all of it.
 */

import { write } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { MOST_BYTES_EACH } from '../policy/name.ts'

export interface Destination {
  write(line: string): void
  /** Lines dropped since start. */
  readonly dropped: number
  /** Ends when all is written, at the latest after a moment. For the end of the process. */
  flush(): Promise<void>
  /** Goes on with another file, e.g. after logrotate. */
  redirect(fd: number): void
}

const MOST_WAITING_BYTES = 4 * 1024 * 1024
/** As much room as a buffer has at first, and keeps. */
const USUAL_BYTES = 64 * 1024
const FLUSH_MILLISECONDS = 500
const STEP_MILLISECONDS = 2
/** After a write the next one waits this long: alone a line goes at once, under load many go together. */
const REST_MILLISECONDS = 5

export function openDestination(fd: number, droppedLine: (count: number) => string): Destination {
  let target = fd
  let waiting = Buffer.allocUnsafeSlow(USUAL_BYTES)
  let length = 0
  /** Of the write before, to be filled next. */
  let spare = Buffer.allocUnsafeSlow(USUAL_BYTES)
  let isWriting = false
  let isDue = false
  let restsUntil = 0
  let dropped = 0
  let unreported = 0

  function add(line: string): void {
    const needed = length + line.length * MOST_BYTES_EACH
    if (needed > waiting.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(needed, waiting.length * 2))
      waiting.copy(larger, 0, 0, length)
      waiting = larger
    }
    length += waiting.write(line, length)
  }

  function schedule(): void {
    if (isDue || isWriting) return
    isDue = true
    const rest = restsUntil - performance.now()
    if (rest > 0) setTimeout(next, rest)
    else setImmediate(next)
  }

  function next(): void {
    isDue = false
    if (isWriting || length === 0) return
    if (unreported > 0) {
      add(droppedLine(unreported))
      unreported = 0
    }
    const full = waiting
    const end = length
    waiting = spare
    length = 0
    isWriting = true
    restsUntil = performance.now() + REST_MILLISECONDS
    writeAll(full, 0, end)
  }

  function writeAll(bytes: typeof waiting, from: number, end: number): void {
    write(target, bytes, from, end - from, null, (error, written) => {
      if (error && 'code' in error && error.code === 'EAGAIN') {
        setTimeout(() => writeAll(bytes, from, end), 20)
      } else if (!error && from + written < end) {
        writeAll(bytes, from + written, end)
      } else {
        // A log that cannot be written (disk full, reader gone) is no reason to stop.
        isWriting = false
        spare = bytes.length > USUAL_BYTES ? Buffer.allocUnsafeSlow(USUAL_BYTES) : bytes
        if (length > 0) schedule()
      }
    })
  }

  return {
    write(line) {
      if (length > MOST_WAITING_BYTES) {
        dropped++
        unreported++
        return
      }
      add(line)
      schedule()
    },
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
