/**
 * A terminal that shows one text, again and again, until the user ends it with q or Ctrl-C. What was on
 * it before comes back, whatever ends the program but SIGKILL.
 */

import { setTimeout as sleep } from 'node:timers/promises'
import type { ReadStream, WriteStream } from 'node:tty'
import { describeError } from '../system/errors.ts'
import { cutOff, printable } from '../text/columns.ts'

export interface Size {
  readonly columns: number
  readonly rows: number
}

export interface Screen {
  /** Resolves when the user has ended it, or when `draw` has failed the first time: then it rejects. */
  show(draw: (size: Size) => Promise<readonly string[]>, milliseconds: number): Promise<void>
}

const ENTER = '\x1b[?1049h\x1b[?25l'
const LEAVE = '\x1b[?25h\x1b[?1049l'
const HOME = '\x1b[H'
const CLEAR_LINE = '\x1b[K'
const CLEAR_REST = '\x1b[J'

/** Ctrl-C and Ctrl-D among them: in raw mode they are keys like others. */
const ENDING_KEYS = ['q', 'Q', '\x03', '\x04']
const ESCAPE = '\x1b'
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/**
 * `Screen.show` in this terminal. `input`: where keys come from; if that is not a terminal, only signals
 * end it.
 */
export async function showLive(
  input: ReadStream,
  output: WriteStream,
  draw: (size: Size) => Promise<readonly string[]>,
  milliseconds: number,
): Promise<void> {
  const size = (): Size => ({ columns: output.columns || 80, rows: output.rows || 24 })
  let lines: readonly string[] | undefined = await draw(size())
  const ended = Promise.withResolvers<undefined>()
  let isEnded = false
  let wake = new AbortController()
  const resized = (): void => wake.abort()
  const end = (): void => {
    isEnded = true
    ended.resolve(undefined)
    wake.abort()
  }
  const key = (bytes: Buffer): void => {
    const keys = bytes.toString('latin1')
    // Some of the keys for functions send letters, too.
    if (!keys.startsWith(ESCAPE) && ENDING_KEYS.some(one => keys.includes(one))) end()
  }
  const redrawn = (): Promise<readonly string[]> =>
    draw(size()).catch((error: unknown) => [`mtpolicyctl: ${describeError(error)}`])
  for (const signal of SIGNALS) process.once(signal, end)
  output.on('resize', resized)
  if (input.isTTY) input.setRawMode(true).on('data', key)
  output.write(ENTER)
  try {
    while (lines && !isEnded) {
      output.write(frame(lines, size()))
      wake = new AbortController()
      await sleep(milliseconds, undefined, { signal: wake.signal }).catch(() => undefined)
      // The end does not wait for a daemon that hangs.
      lines = isEnded ? undefined : await Promise.race([redrawn(), ended.promise])
    }
  } finally {
    output.write(LEAVE)
    output.off('resize', resized)
    for (const signal of SIGNALS) process.off(signal, end)
    if (input.isTTY) input.setRawMode(false).off('data', key).pause()
  }
}

function frame(lines: readonly string[], { columns, rows }: Size): string {
  const shown = lines.slice(0, rows).map(line => cutOff(printable(line), columns) + CLEAR_LINE)
  return HOME + shown.join('\r\n') + CLEAR_REST
}
