/**
 * Removes our text from main.cf and master.cf. Pure functions.
 *
 * If a file is still as we left it, its saved copy is restored; otherwise exactly what was inserted
 * is cut out, or, if that has been edited since, every item in the same list that queries our
 * endpoint.
 */

import type { Endpoint } from '../smtpd/endpoint.ts'
import { removeInserted, removeRestrictions } from '../smtpd/main-cf.ts'
import { optionOf, readServices } from '../smtpd/master-cf.ts'
import { END_OF_DATA, stretchesOf } from '../smtpd/restriction-list.ts'
import { asks } from './own-items.ts'
import type { Edit, FileName, RecordFile, RegistrationRecord } from './registration-record.ts'

export function withoutOurs(
  name: FileName,
  text: string,
  record: RegistrationRecord,
  records: RecordFile,
): string {
  const saved = records.saved(record, name, text)
  if (saved !== undefined) return saved
  return record.edits
    .filter(({ file }) => file === name)
    .toReversed()
    .reduce(
      (rest, edit) =>
        name === 'main.cf'
          ? withoutEdit(rest, edit, record.endpoint)
          : withoutOption(rest, edit, record.endpoint),
      text,
    )
}

function withoutEdit(text: string, edit: Edit, endpoint: Endpoint): string {
  const cut = removeInserted(text, edit.parameter, edit)
  if (cut !== undefined) return cut
  return removeRestrictions(text, edit.parameter, (restriction, argument) =>
    asks(restriction, argument, [endpoint]),
  )
}

function withoutOption(text: string, edit: Edit, endpoint: Endpoint): string {
  const master = readServices(text).find(({ name }) => name === edit.service)
  const option = master && optionOf(master, edit.parameter)
  if (!option) return text
  const value = text.slice(option.start, option.end)
  const at = value.indexOf(edit.inserted)
  const isWarned = /warn_if_reject[\s,]*$/i.test(value.slice(0, Math.max(0, at)))
  if (at >= 0 && !isWarned) {
    return cutOut(text, option.start + at, option.start + at + edit.inserted.length)
  }
  const { stretches } = stretchesOf(value, (word, argument) => asks(word, argument, [endpoint]))
  return stretches
    .toReversed()
    .reduce((rest, { start, end }) => cutOut(rest, option.start + start, option.start + end), text)
}

function cutOut(text: string, start: number, end: number): string {
  return text.slice(0, start) + text.slice(end)
}

/** Without a record, only an item exactly as we would write it is considered ours. */
export function withoutItem(text: string, item: string): string {
  return removeRestrictions(
    text,
    END_OF_DATA,
    (restriction, argument) => `${restriction} ${argument}` === item,
  )
}
