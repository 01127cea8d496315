/** A change of a file as a unified diff (POSIX diff -u), without its times. */

import { createTwoFilesPatch } from 'diff'

const CONTEXT_LINES = 3
/** Beyond that many changed lines the whole file counts as changed: finding the shortest diff takes too long. */
const MOST_EDITS = 5000

export function unifiedDiff(file: string, before: string | undefined, after: string): string {
  const old = before === undefined ? '/dev/null' : file
  const options = { context: CONTEXT_LINES, maxEditLength: MOST_EDITS }
  const patch = createTwoFilesPatch(old, file, before ?? '', after, undefined, undefined, options)
  // The library begins with a line for `patch`, and a rule.
  return (patch ?? wholeFile(file, before ?? '', after)).replace(/^(?:Index:.*\n)?=+\n/, '')
}

function wholeFile(file: string, before: string, after: string): string {
  const [old, lines] = [before.split('\n').slice(0, -1), after.split('\n').slice(0, -1)]
  return [
    `--- ${file}`,
    `+++ ${file}`,
    `@@ -1,${old.length} +1,${lines.length} @@`,
    ...old.map(line => `-${line}`),
    ...lines.map(line => `+${line}`),
    '',
  ].join('\n')
}
