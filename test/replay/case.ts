/**
 * The recorded cases: what Debian's mtpolicyd 2.05 answered to a configuration and its requests.
 *
 * `cases.jsonl` has one case per line; its names are those of the recording. A `dubious` case is
 * one where the original's answer looks like an accident: there `ours` says what we do instead (or
 * that we do the same), and why. `{"$repeat": ["a", 200000]}` stands for a long text.
 */

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as v from 'valibot'

const answers = v.array(v.nullable(v.string()))
const closings = v.array(v.nullable(v.boolean()))

const preparation = v.strictObject({
  write: v.optional(v.tuple([v.string(), v.string()])),
  sql: v.optional(v.tuple([v.string(), v.string()])),
})

/** Attributes in order; keys that begin with `_` steer the client. */
const request = v.objectWithRest(
  {
    _conn: v.optional(v.string()),
    _check_close: v.optional(v.boolean()),
    _port: v.optional(v.string()),
    _raw: v.optional(v.string()),
    _eol: v.optional(v.string()),
    _shut: v.optional(v.boolean()),
    _unix: v.optional(v.string()),
    _pre: v.optional(v.array(preparation)),
  },
  v.string(),
)

const recordedCase = v.object({
  name: v.string(),
  group: v.string(),
  config: v.string(),
  requests: v.array(request),
  start: v.picklist(['ok', 'fail']),
  expected: answers,
  closed_after: v.optional(closings),
  needs: v.array(v.string()),
  /** The original's line per request, of which we compare who decided. */
  log: v.optional(v.array(v.string())),
  files: v.optional(v.record(v.string(), v.string())),
  sqlite: v.optional(v.record(v.string(), v.string())),
  after_sql: v.optional(
    v.array(v.object({ db: v.string(), query: v.string(), rows: v.array(v.array(v.unknown())) })),
  ),
  dubious: v.optional(v.boolean()),
  ours: v.optional(
    v.strictObject({
      reason: v.string(),
      start: v.optional(v.picklist(['ok', 'fail'])),
      expected: v.optional(answers),
      closed_after: v.optional(closings),
      /** What the log must say, as regular expressions. */
      says: v.optional(v.array(v.string())),
    }),
  ),
})

export type RecordedCase = v.InferOutput<typeof recordedCase>
export type RecordedRequest = v.InferOutput<typeof request>

export function readCases(): readonly RecordedCase[] {
  const text = readFileSync(join(import.meta.dirname, 'cases.jsonl'), 'utf8')
  return text
    .split('\n')
    .filter(line => line !== '')
    .map(line => v.parse(recordedCase, JSON.parse(line, unfold)))
}

function unfold(_key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || !('$repeat' in value)) return value
  const [text, times] = v.parse(v.tuple([v.string(), v.number()]), value.$repeat)
  return text.repeat(times)
}
