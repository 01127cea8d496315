/**
 * The text form of a Postfix table, as `texthash:` reads it and postmap(1) describes it.
 *
 * Key, white space, value. A line that begins with white space continues the previous one, even
 * across comments and empty lines. Spaces between double quotes belong to the key, and so do the
 * quotes. Keys are folded to lower case; of equal keys the first counts. A line that is not an
 * entry is skipped, as postmap does with a warning.
 */

import { plainText } from '../text/plain-text.ts'

export function readTextTable(text: string): Map<string, string> {
  const table = new Map<string, string>()
  for (const line of logicalLines(plainText(text))) {
    const end = endOfKey(line)
    const key = line.slice(0, end).toLowerCase()
    const value = line.slice(end).replace(/^[ \t\r\v\f]+/, '')
    if (end > 0 && value !== '' && !table.has(key)) table.set(key, value)
  }
  return table
}

function* logicalLines(text: string): Generator<string> {
  let logical = ''
  for (const line of text.split('\n')) {
    const start = /[^ \t\r\v\f]/.exec(line)
    if (!start || start[0] === '#') continue
    if (start.index > 0) {
      logical += line
    } else {
      yield trimmedEnd(logical)
      logical = line
    }
  }
  yield trimmedEnd(logical)
}

function trimmedEnd(line: string): string {
  let end = line.length
  while (end > 0 && isBlank(line.charCodeAt(end - 1))) end--
  return line.slice(0, end)
}

/** The first blank that is neither quoted nor after a backslash; 0 if a quote is not closed. */
function endOfKey(line: string): number {
  let isQuoted = false
  let at = 0
  for (; at < line.length; at++) {
    const c = line.charCodeAt(at)
    if (c === 0x5c) at++
    else if (c === 0x22) isQuoted = !isQuoted
    else if (!isQuoted && isBlank(c)) break
  }
  return isQuoted ? 0 : at
}

/** Blank, tab, vertical tab, form feed, carriage return: isspace(3) without the line feed. */
function isBlank(c: number): boolean {
  return c === 32 || (c >= 9 && c <= 13)
}
