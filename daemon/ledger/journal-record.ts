/**
 * What one turn of the event loop has decided, as the bytes of one record of the journal.
 *
 * A record: the number of bytes after the checksum, CRC-32 of them, time (milliseconds since 1970,
 * 64-bit float), number of messages judged for the first time, the letter L; then the entries, each a
 * letter and its fields, little-endian. A text is its length (16 bits) and its bytes. Numbers, amounts and
 * sums are seven bits a byte, lowest first; the last byte is below 128. A period's number is what the
 * entries that follow call it; a bucket (32 bits) is left out in a calendar period. A subject with the
 * length 0xFFFF is the one that was written before.
 *
 *   P number, counter, name             a period, as in CountingPeriod
 *   T time                              of the sums that follow, where the clock has gone back; those
 *                                       before are of the record's time
 *   S period, [bucket], sum, subject    absolute, so that reading it twice does no harm
 *   M flags, time, message, [queue key], [counter that refused it], number of
 *       code, [bucket], amount, [sum], [subject]
 *                                       how a message was judged, and the sums that this has made. The
 *                                       code: 4 × period, + 1 if the subject follows, which else is the
 *                                       message's account, + 2 if the sum follows
 *
 * `record-writer.ts` writes it, `record-decoder.ts` reads it.
 */

import { crc32 } from 'node:zlib'
import { FIRST_3 } from './journal-record-3.ts'

/** Length, checksum, time, messages. */
export const RECORD_HEAD = 20
/** Length and checksum, which the checksum does not cover. */
export const UNCHECKED = 8
/** What a record begins with. */
export const FIRST = 0x4c
export const [PERIOD, TIME, SUM, MESSAGE] = [0x50, 0x54, 0x53, 0x4d]
/** Flags of a message. */
export const [ACCEPTED, FINAL, HAS_QUEUE, HAS_REFUSAL] = [1, 2, 4, 8]
/** Parts of an entry's code. */
export const [HAS_SUBJECT, HAS_SUM, CODES] = [1, 2, 4]
/** A subject's length that says: it is the one before. */
export const KNOWN = 0xffff
/** Milliseconds since 1970: the year 5138. */
const LATEST = 1e14

/** Where the record that begins at `start` should end; undefined if there cannot be one. */
export function endOfRecord(bytes: Buffer, start: number): number | undefined {
  if (start + RECORD_HEAD > bytes.length) return undefined
  const length = bytes.readUInt32LE(start)
  const end = start + UNCHECKED + length
  return length < RECORD_HEAD - UNCHECKED || end > bytes.length ? undefined : end
}

export function isWholeRecord(bytes: Buffer, start: number, end: number, seed: number): boolean {
  return crc32(bytes.subarray(start + UNCHECKED, end), seed) === bytes.readUInt32LE(start + 4)
}

/** Where the next whole record begins, at or after `from`, whatever precedes it. */
export function nextRecord(bytes: Buffer, from: number, seed: number): number | undefined {
  const next = [FIRST, FIRST_3].map(letter => nextThatBegins(letter, bytes, from, seed))
  const found = next.filter(at => at !== undefined)
  return found.length > 0 ? Math.min(...found) : undefined
}

function nextThatBegins(
  letter: number,
  bytes: Buffer,
  from: number,
  seed: number,
): number | undefined {
  const entry = (behind: number): number => bytes.indexOf(letter, behind)
  // The head rules out nearly every other place without computing a checksum.
  for (let first = entry(from + RECORD_HEAD); first >= 0; first = entry(first + 1)) {
    const at = first - RECORD_HEAD
    const head = headOfRecord(bytes, at)
    if (
      !(head.at >= 0 && head.at < LATEST && Number.isInteger(head.at)) ||
      head.messages > bytes.length
    )
      continue
    const end = endOfRecord(bytes, at)
    if (end !== undefined && isWholeRecord(bytes, at, end, seed)) return at
  }
  return undefined
}

export function headOfRecord(bytes: Buffer, at: number): { at: number; messages: number } {
  return { at: bytes.readDoubleLE(at + 8), messages: bytes.readUInt32LE(at + 16) }
}
