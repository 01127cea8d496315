/**
 * Lines of a log, of any of its forms, to records. For more than one use: what the daemon gives back, old
 * logs, what became of a message.
 */

import { withoutCollector } from './collector-prefix.ts'
import { readJournalEntry } from './journal-entry.ts'
import { readLine } from './line.ts'
import { LocalTimes, type LocalTimesOptions } from './local-time.ts'
import { readMessage } from './message.ts'
import type { Envelope, MailRecord } from './record.ts'

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
    const envelope = readEnvelope(line, times)
    if (envelope || !options.isReplay) return envelope && readMessage(envelope)
    const own = withoutCollector(line)
    const collected = own === line ? undefined : readEnvelope(own, times)
    return collected && readMessage(collected)
  }
}

function readEnvelope(line: string, times: LocalTimes): Envelope | undefined {
  return line[0] === '{' ? readJournalEntry(line) : readLine(line, times)
}
