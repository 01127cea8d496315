/**
 * One recorded case against the real program: sets its scene, starts the daemon, talks to it as the
 * recording says, and compares. Ports and folders are chosen at run time and every case has its own
 * servers, so any number of cases run side by side.
 */

import { existsSync } from 'node:fs'
import { isDeepStrictEqual } from 'node:util'
import { serverMissing } from '../../scripts/test-servers.ts'
import { berkeleyDbMissing } from './berkeley-db.ts'
import type { RecordedCase } from './case.ts'
import { Client } from './client.ts'
import { CONFIG_FILE, runCron, startDaemon } from './program.ts'
import { openScene, type Scene } from './scene.ts'

/** As the original: a plugin that fails ends the request without an answer. */
const HEAD = 'on_failure = "close"\n'

const GEOIP = '/usr/share/GeoIP/GeoIP.dat'

/** Why a case cannot run on this machine; undefined if it can. On CI that is a failure. */
export function missingFor({ needs }: RecordedCase): string | undefined {
  const reasons = [
    needs.includes('memcached') && serverMissing('memcached'),
    needs.includes('redis') && serverMissing('redis'),
    needs.includes('ldap') && serverMissing('slapd'),
    needs.includes('bdb') && berkeleyDbMissing(),
    needs.includes('geoip') &&
      !existsSync(GEOIP) &&
      `${GEOIP} is not there (package geoip-database)`,
  ]
  return reasons.find(reason => reason !== false)
}

/** What differs from the expectation; empty if nothing does. */
export async function replay(recorded: RecordedCase): Promise<readonly string[]> {
  // A port that was free a moment ago can be somebody else's by now.
  for (let attempt = 1; ; attempt++) {
    const scene = await openScene(recorded)
    try {
      const { failures, log } = await perform(recorded, scene)
      if (attempt === 3 || !/EADDRINUSE|address already in use/.test(log)) return failures
    } finally {
      await scene.close()
    }
  }
}

interface Performance {
  readonly failures: readonly string[]
  readonly log: string
}

async function perform(recorded: RecordedCase, scene: Scene): Promise<Performance> {
  const { ours } = recorded
  const wanted = wantedOf(recorded)
  const failures: string[] = []
  const expect = (what: string, found: unknown, expected: unknown): void => {
    if (isDeepStrictEqual(found, expected)) return
    failures.push(`${what}: expected ${JSON.stringify(expected)}, found ${JSON.stringify(found)}`)
  }

  // A byte order mark stays at the beginning.
  scene.write(
    CONFIG_FILE,
    recorded.config.replace(/^\uFEFF?/, mark => mark + HEAD),
  )
  if (recorded.cron !== undefined) {
    expect('status of --cron', await runCron(scene, recorded.cron), wanted.cron_rc)
  }
  const daemon = await startDaemon(scene, recorded.loglevel ?? 4)
  const client = new Client(scene)
  try {
    expect('start', daemon.isRunning() ? 'ok' : 'fail', wanted.start)
    if (wanted.start === 'ok' && daemon.isRunning()) {
      const closed = wanted.closed_after
      for (const [at, request] of recorded.requests.entries()) {
        for (const step of request._pre ?? []) await scene.prepare(step)
        const { answer, isClosed } = await client.ask(request, closed?.[at] === true)
        if (!fits(answer, wanted, at)) expect(`answer ${at}`, answer, wanted.expected[at])
        // Only what was watched is recorded, or is plain from a missing answer.
        if (closed) expect(`closed after answer ${at}`, isClosed, closed[at] === true)
      }
    }
  } finally {
    client.close()
    await daemon.stop()
  }
  const log = daemon.log()
  if (wanted.start === 'fail') expect('exit status is 0', daemon.status() === 0, false)
  else await compareAfterwards(wanted, scene, expect)
  for (const pattern of ours?.says ?? []) expect(pattern, new RegExp(pattern).test(log), true)
  const grep = recorded.log_grep
  if (grep) expect(`lines with ${grep.pattern}`, linesWith(grep.pattern, log), grep.lines.length)
  if (!ours && wanted.start === 'ok') {
    expect('who decided, in the log', deciders(log), recordedDeciders(recorded))
  }
  if (failures.length > 0) failures.push(...log.trimEnd().split('\n').slice(-8))
  return { failures, log }
}

/** The expectations, ours before those of the recording. */
function wantedOf(recorded: RecordedCase): RecordedCase {
  const { ours } = recorded
  const start = ours?.start ?? recorded.start
  return { ...recorded, ...ours, start, expected: ours?.expected ?? recorded.expected }
}

/** Is this the answer although its text may be another? */
function fits(answer: string | null, wanted: RecordedCase, at: number): boolean {
  const pattern = wanted.expected_re?.[at]
  if (pattern !== undefined) return answer !== null && new RegExp(pattern).test(answer)
  const prefix = wanted.expected_prefix?.[at]
  if (typeof prefix !== 'string' || prefix === wanted.expected[at]) return false
  return answer?.startsWith(prefix) === true
}

async function compareAfterwards(
  wanted: RecordedCase,
  scene: Scene,
  expect: (what: string, found: unknown, expected: unknown) => void,
): Promise<void> {
  const found = await scene.look(wanted)
  for (const name of [
    'after_sql',
    'after_memcached',
    'after_redis',
    'smtp_log',
    'policy_stub_connections',
  ] as const) {
    expect(name, found[name], wanted[name])
  }
  // What is known is not asked twice, and questions may travel side by side.
  expect('dns_queries', asSet(found.dns_queries), asSet(wanted.dns_queries))
}

function asSet(queries: RecordedCase['dns_queries']): readonly string[] | undefined {
  return queries && [...new Set(queries.map(query => query.join(' ')))].toSorted()
}

/** Without what is logged of every request at level 4, which has the same words. */
function linesWith(pattern: string, log: string): number {
  const lines = log.split('\n').filter(line => !line.includes(' request for '))
  return lines.filter(line => new RegExp(pattern).test(line)).length
}

/** The plugin of each verdict line, sorted; nobody is the empty text. */
function deciders(log: string): string[] {
  return [...log.matchAll(/^.*\bverdict=.*$/gm)]
    .map(([line]) => /\sby=(?:"((?:[^"\\]|\\.)*)"|(\S*))/.exec(line))
    .map(match => match?.[1] ?? match?.[2] ?? '')
    .toSorted()
}

function recordedDeciders({ log = [] }: RecordedCase): string[] {
  return log.map(line => /, plugin=(.*), result=/.exec(line)?.[1] ?? '').toSorted()
}
