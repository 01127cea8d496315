/**
 * The recorded cases: what Debian's mtpolicyd 2.05 answered to a configuration and its requests.
 *
 * `cases.jsonl` has one case per line; its names are those of the recording. A `dubious` case is
 * one where the original's answer looks like an accident, for the `reason` it gives: there `ours`
 * says what we do instead (or that we do the same), and why.
 *
 * `{"$repeat": ["a", 200000]}` stands for a long text, `{"$shared": "spf zone"}` for a value of
 * `shared.json` that many cases have. `@PORT@` and the like are places that `scene.ts` fills in. A
 * field that is not described here is refused, so that no part of a recording goes unread.
 */

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as v from 'valibot'

const answers = v.array(v.nullable(v.string()))
const texts = v.record(v.string(), v.string())
const start = v.picklist(['ok', 'fail'])

const expectations = {
  start,
  /** Null: closed without an answer. `<timeout>`: neither. */
  expected: answers,
  /** By the number of the answer: an expression instead of the text. */
  expected_re: v.optional(texts),
  /** How an answer begins whose end is worded by a library. */
  expected_prefix: v.optional(answers),
  closed_after: v.optional(v.array(v.nullable(v.boolean()))),
  after_sql: v.optional(
    v.array(
      v.strictObject({ db: v.string(), query: v.string(), rows: v.array(v.array(v.unknown())) }),
    ),
  ),
  after_memcached: v.optional(v.record(v.string(), v.picklist(['present', 'absent']))),
  /** Arguments and output of redis-cli. */
  after_redis: v.optional(v.array(v.strictObject({ cmd: v.array(v.string()), out: v.string() }))),
  /** What the mail server heard; a host name after EHLO is `*`. */
  smtp_log: v.optional(v.array(v.string())),
  policy_stub_connections: v.optional(v.number()),
  /** Name and type. */
  dns_queries: v.optional(v.array(v.tuple([v.string(), v.string()]))),
  cron_rc: v.optional(v.number()),
}

/** What happens before a request is sent. */
const preparation = v.strictObject({
  /** Seconds. */
  sleep: v.optional(v.number()),
  /** File and text. */
  write: v.optional(v.tuple([v.string(), v.string()])),
  /** Database and statements. */
  sql: v.optional(v.tuple([v.string(), v.string()])),
  /** Key and value; `@NOW+60` is the epoch in a minute. */
  memcached_set: v.optional(v.tuple([v.string(), v.string()])),
  /** Arguments of redis-cli. */
  redis: v.optional(v.array(v.string())),
})

/** Attributes in order; keys that begin with `_` steer the client. */
const request = v.objectWithRest(
  {
    /** Requests with the same label share a connection. */
    _conn: v.optional(v.string()),
    _check_close: v.optional(v.boolean()),
    _port: v.optional(v.string()),
    /** Bytes instead of attributes. */
    _raw: v.optional(v.string()),
    _eol: v.optional(v.string()),
    _shut: v.optional(v.boolean()),
    _unix: v.optional(v.string()),
    /** Seconds to wait for the answer. */
    _timeout: v.optional(v.number()),
    _pre: v.optional(v.array(preparation)),
  },
  v.string(),
)

const dnsRecords = v.strictObject({
  A: v.exactOptional(v.array(v.string())),
  CNAME: v.exactOptional(v.array(v.string())),
  MX: v.exactOptional(v.array(v.string())),
  TXT: v.exactOptional(v.array(v.union([v.string(), v.array(v.string())]))),
})

const NEEDS = [
  ...(['bdb', 'cron', 'dns', 'geoip', 'http', 'ldap', 'memcached'] as const),
  ...(['policy-stub', 'redis', 'smtp', 'sqlite'] as const),
] as const

const recordedCase = v.strictObject({
  name: v.string(),
  group: v.string(),
  config: v.string(),
  requests: v.array(request),
  ...expectations,
  /** What the machine must have. */
  needs: v.array(v.picklist(NEEDS)),
  /** Level of the log, 4 unless it is said. */
  loglevel: v.optional(v.number()),
  env: v.optional(texts),
  /** Tasks of `--cron`, run before the daemon is started. */
  cron: v.optional(v.string()),

  files: v.optional(texts),
  /** A script for each SQLite file. */
  sqlite: v.optional(texts),
  /** Keys and values of Berkeley DB files, with Postfix's final NULs. */
  postmap: v.optional(v.record(v.string(), texts)),
  /** And without. */
  bdb: v.optional(v.record(v.string(), texts)),
  dns: v.optional(v.record(v.string(), v.union([dnsRecords, v.picklist(['SERVFAIL', 'DROP'])]))),
  /** LDIF. */
  ldap: v.optional(v.string()),
  /** Status and body. */
  http: v.optional(v.tuple([v.number(), v.string()])),
  smtp: v.optional(
    v.strictObject({
      ehlo: v.array(v.string()),
      /** Replies by address, if not 250. */
      rcpt: v.optional(texts),
    }),
  ),
  /** What another policy service says; null: nothing; CLOSE: it hangs up. */
  proxy_answer: v.optional(v.nullable(v.string())),
  proxy_unix_answer: v.optional(v.string()),

  /** The original's line per request, of which we compare who decided. */
  log: v.optional(v.array(v.string())),
  /** Lines of the original's log with the pattern; as many of ours must have it. */
  log_grep: v.optional(v.strictObject({ pattern: v.string(), lines: v.array(v.string()) })),
  dubious: v.optional(v.boolean()),
  reason: v.optional(v.string()),
  ours: v.optional(
    v.strictObject({
      ...v.partial(v.strictObject(expectations)).entries,
      reason: v.string(),
      /** Where the administrator reads of it: a plugin or a manual page, and words there. */
      manual: v.optional(v.tuple([v.string(), v.string()])),
      /** What the log must say, as regular expressions. */
      says: v.optional(v.array(v.string())),
    }),
  ),
})

export type RecordedCase = v.InferOutput<typeof recordedCase>
export type RecordedRequest = v.InferOutput<typeof request>
export type Preparation = v.InferOutput<typeof preparation>

const read = (name: string): string => readFileSync(join(import.meta.dirname, name), 'utf8')

export function readCases(): readonly RecordedCase[] {
  const shared = v.parse(v.record(v.string(), v.unknown()), JSON.parse(read('shared.json')))
  function unfold(_key: string, value: unknown): unknown {
    if (typeof value !== 'object' || value === null) return value
    if ('$shared' in value) return shared[v.parse(v.string(), value.$shared)]
    if (!('$repeat' in value)) return value
    const [text, times] = v.parse(v.tuple([v.string(), v.number()]), value.$repeat)
    return text.repeat(times)
  }
  return read('cases.jsonl')
    .split('\n')
    .filter(line => line !== '')
    .map(line => v.parse(recordedCase, JSON.parse(line, unfold)))
}
