/**
 * The entries of journal records as they were when there was one limit per account and day, so that an
 * upgrade loses nothing of a journal that is not folded. Nothing writes them any more.
 *
 *   P counter, day            counter and day of the entries that follow
 *   S sum, account            absolute
 *   D flags, count, message   how a message of that day was judged: instance, counter and account
 */

import type { RecordReader } from './record-reader.ts'

/** What a record of this kind begins with. */
export const FIRST_3 = 0x50
const [PERIOD, SUM, DECISION] = [0x50, 0x53, 0x44]
const [ACCEPTED, FINAL] = [1, 2]
const LINE_FEED = 0x0a

/** Passes on the entries from `place` to `end`; `at`: the record's time. Throws RangeError for other bytes. */
export function readEntries3(
  bytes: Buffer,
  place: number,
  end: number,
  at: number,
  reader: RecordReader,
): void {
  let period = reader.periods.named('', '')
  const name = (): Buffer => {
    const start = place + 2
    place = start + bytes.readUInt16LE(place)
    return bytes.subarray(start, place)
  }
  const float = (): number => {
    place += 8
    return bytes.readDoubleLE(place - 8)
  }
  while (place < end) {
    const letter = bytes[place++]
    if (letter === PERIOD) {
      const counter = name().toString()
      period = reader.periods.named(counter, name().toString())
    } else if (letter === SUM) {
      const used = float()
      const account = name()
      reader.sum?.(period, 0, account, used, at)
    } else if (letter === DECISION) {
      const flags = bytes[place++] ?? 0
      const amount = float()
      const { message, account, counter } = partsOf(name())
      const accepted = (flags & ACCEPTED) !== 0
      const entry = { period: reader.periods.named(counter, period.name), bucket: 0 }
      reader.decision?.(message, {
        accepted,
        refusedBy: accepted ? '' : counter,
        stage: (flags & FINAL) !== 0 ? 'END-OF-MESSAGE' : 'DATA',
        at,
        queue: '',
        entries: accepted ? [{ ...entry, subject: account, amount }] : [],
      })
    } else throw new RangeError('an entry of an unknown kind')
  }
}

/** The key of a message: instance, counter and account. Neither the first nor the last has a line feed. */
function partsOf(key: Buffer): { message: Buffer; account: string; counter: string } {
  const [first, last] = [key.indexOf(LINE_FEED), key.lastIndexOf(LINE_FEED)]
  const message = Buffer.concat([key.subarray(0, Math.max(0, first)), key.subarray(last)])
  const account = key.subarray(last + 1).toString()
  return { message, account, counter: key.subarray(first + 1, last).toString() }
}
