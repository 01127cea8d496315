/**
 * Lines of a log, of any of its forms, to records. For more than one use: what the daemon gives back, old
 * logs, what became of a message.
 */

import { readJournalEntry } from './journal-entry.ts'
import { readLine } from './line.ts'
import { LocalTimes, type LocalTimesOptions } from './local-time.ts'
import { readMessage } from './message.ts'
import type { MailRecord } from './record.ts'
import { readSavedLine } from './saved-line.ts'

/** Undefined for a line that no program of Postfix wrote, or that was cut. Never throws. */
export type ParseLine = (line: string) => MailRecord | undefined

/** A line that is longer is none: Postfix writes no more than about 2,000 characters. */
export const LONGEST_LINE = 16 * 1024

/** Throws RangeError for an unknown time zone. */
export function lineParser(options: LocalTimesOptions): ParseLine {
  const times = new LocalTimes(options)
  return line => {
    // Every tag has one, and it costs nothing to look.
    if (line.length > LONGEST_LINE || !line.includes('/')) return undefined
    const envelope = options.isReplay
      ? readSavedLine(line.endsWith('\r') ? line.slice(0, -1) : line, times)
      : line[0] === '{'
        ? readJournalEntry(line)
        : readLine(line, times)
    return envelope && readMessage(envelope)
  }
}
