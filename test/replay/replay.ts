/**
 * One recorded case against the real program: writes its files, starts the daemon, talks to it as
 * the recording says, and compares. Ports and folders are chosen at run time, so any number of
 * cases run side by side.
 */

import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { isAbsolute, join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import Database from 'better-sqlite3'
import { dist, freePort } from '../support/daemon.ts'
import type { RecordedCase } from './case.ts'
import { Client } from './client.ts'

/** As the original: a plugin that fails ends the request without an answer. */
const HEAD = 'on_failure = "close"\n'

const GEOIP = '/usr/share/GeoIP/GeoIP.dat'

/** Why a case cannot run on this machine; undefined if it can. */
export function missingFor({ needs }: RecordedCase): string | undefined {
  return needs.includes('geoip') && !existsSync(GEOIP)
    ? `${GEOIP} is not there (Debian package geoip-database)`
    : undefined
}

/** What differs from the expectation; empty if nothing does. */
export async function replay(recorded: RecordedCase): Promise<readonly string[]> {
  // A port that was free a moment ago can be somebody else's by now.
  for (let attempt = 1; ; attempt++) {
    const { failures, log } = await attemptReplay(recorded)
    if (attempt === 3 || !/EADDRINUSE|address already in use/.test(log)) return failures
  }
}

interface Attempt {
  readonly failures: string[]
  readonly log: string
}

async function attemptReplay(recorded: RecordedCase): Promise<Attempt> {
  const folder = mkdtempSync(join(tmpdir(), 'replay-'))
  const places: Record<string, string> = {
    DIR: folder,
    PORT: String(await freePort()),
    PORT2: String(await freePort()),
    PORT3: String(await freePort()),
  }
  const fill = (text: string): string =>
    text.replace(/@([A-Z]+\d?)@/g, (whole, name: string) => places[name] ?? whole)
  const inFolder = (path: string): string => (isAbsolute(path) ? path : join(folder, path))
  const write = (path: string, text: string): void => writeFileSync(inFolder(path), fill(text))

  for (const [path, text] of Object.entries(recorded.files ?? {})) write(path, text)
  for (const [path, script] of Object.entries(recorded.sqlite ?? {})) {
    runSql(inFolder(path), fill(script))
  }
  write(
    'mtpolicyd.conf',
    recorded.config.replace(/^\uFEFF?/, mark => mark + HEAD),
  )

  const daemon = await startDaemon(folder)
  const client = new Client(places, fill)
  const failures: string[] = []
  const expect = (what: string, found: unknown, wanted: unknown): void => {
    if (isDeepStrictEqual(found, wanted)) return
    failures.push(`${what}: expected ${JSON.stringify(wanted)}, found ${JSON.stringify(found)}`)
  }
  const { ours } = recorded
  const start = ours?.start ?? recorded.start
  try {
    expect('start', daemon.isRunning() ? 'ok' : 'fail', start)
    if (start === 'ok' && daemon.isRunning()) {
      const expected = ours?.expected ?? recorded.expected
      const closed = ours?.closed_after ?? recorded.closed_after
      for (const [at, request] of recorded.requests.entries()) {
        for (const { write: file, sql } of request._pre ?? []) {
          if (file) write(...file)
          if (sql) runSql(inFolder(sql[0]), sql[1])
        }
        const { answer, isClosed } = await client.ask(request, closed?.[at] === true)
        expect(`answer ${at}`, answer, expected[at])
        // Only what was watched is recorded, or is plain from a missing answer.
        if (closed) expect(`closed after answer ${at}`, isClosed, closed[at] === true)
      }
      for (const { db, query, rows } of recorded.after_sql ?? []) {
        expect(query, readRows(inFolder(db), query), rows)
      }
    }
  } finally {
    client.close()
    await daemon.stop()
    rmSync(folder, { recursive: true, force: true })
  }
  const log = daemon.log()
  if (start === 'fail') expect('exit status is 0', daemon.status() === 0, false)
  for (const pattern of ours?.says ?? []) expect(pattern, new RegExp(pattern).test(log), true)
  if (!ours && start === 'ok')
    expect('who decided, in the log', deciders(log), recordedDeciders(recorded))
  if (failures.length > 0) failures.push(...log.trimEnd().split('\n').slice(-8))
  return { failures, log }
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

function runSql(path: string, script: string): void {
  const db = new Database(path)
  db.exec(script)
  db.close()
}

function readRows(path: string, query: string): unknown[] {
  const db = new Database(path, { readonly: true })
  const rows = db.prepare(query).raw().all()
  db.close()
  return rows
}

interface RunningDaemon {
  isRunning(): boolean
  status(): number | null
  stop(): Promise<void>
  log(): string
}

/** Resolves when it listens or has ended. */
async function startDaemon(folder: string): Promise<RunningDaemon> {
  const argv = ['-f', '-c', join(folder, 'mtpolicyd.conf'), '-l', '4']
  const child = spawn(join(dist, 'mtpolicyd'), argv, {
    cwd: folder,
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let log = ''
  const ended = new Promise<void>((resolve, reject) => {
    child.once('close', () => resolve())
    child.once('error', reject)
  })
  const ready = new Promise<void>(resolve => {
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      log += text
      if (log.includes('Parent ready for children.')) resolve()
    })
  })
  await Promise.race([ready, ended])
  return {
    isRunning: () => child.exitCode === null && child.signalCode === null,
    status: () => child.exitCode,
    log: () => log,
    async stop() {
      child.kill('SIGTERM')
      await ended
    },
  }
}
