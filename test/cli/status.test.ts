/** mtpolicyctl status: what it says of a daemon that asks the DNS. */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { pathsBelow } from '../../daemon/assembly/paths.ts'
import { daemonClient } from '../../daemon/cli/daemon-client.ts'
import type { DaemonStatus } from '../../daemon/control/protocol.ts'
import { serveControl } from '../../daemon/control/server.ts'
import { runCommand } from '../support/command.ts'

const QUIET: DaemonStatus['dns'] = {
  servers: ['192.0.2.53'],
  cached: 0,
  questions: 0,
  failures: 0,
  silent: [],
  refusing: [],
}

const WELL: Omit<DaemonStatus, 'dns'> = {
  version: '1',
  pid: 1,
  since: '2026-11-20T12:00:00.000Z',
  configuration: '/etc/mtpolicyd.conf',
  origin: 'file',
  mode: 'enforce',
  endpoints: ['127.0.0.1:12345'],
  connections: 0,
  requests: 0,
  refused: 0,
  deadlines: 0,
  failures: 0,
  store: { path: '/ledger', state: 'ok', durability: 'normal' },
  geoip: { path: '/geoip', builtAt: undefined, ageDays: 1, state: 'current', problem: undefined },
  recipientOnlyServices: [],
  plugins: [],
  warnings: [],
  droppedLogLines: 0,
}

/** The lines about the DNS, and the whole as JSON. */
async function statusOf(
  t: Test,
  dns: DaemonStatus['dns'],
  mailLog?: DaemonStatus['mailLog'],
  label = 'DNS',
) {
  const root = mkdtempSync(join(tmpdir(), 'status-'))
  const paths = pathsBelow(root)
  const server = await serveControl(paths.control, {
    status: () => ({ ...WELL, dns, ...(mailLog && { mailLog }) }),
    reload: () => [],
    explain: () => ({ action: 'dunno', by: '', steps: [], objections: [] }),
    async *watch() {},
    async *hours() {},
  })
  t.teardown(() => {
    server.close()
    rmSync(root, { recursive: true })
  })
  const say = async (...argv: string[]): Promise<string> => {
    const said: string[] = []
    await runCommand(['status', ...argv], {
      root,
      out: text => void said.push(text),
      env: { MTPOLICYD_POSTFIX_REGISTER: 'false' },
      daemon: daemonClient(paths.control),
    })
    return said.join('')
  }
  const lines = (await say()).replaceAll(/\n {5,}/g, ' ').split('\n')
  return {
    lines: lines.filter(line => line.slice(6).startsWith(label)),
    json: await say('--json'),
  }
}

t.test('nothing is said of the DNS as long as nobody asks it', async t => {
  const { lines, json } = await statusOf(t, QUIET)
  t.strictSame(lines, [])
  t.match(JSON.parse(json), { daemon: { dns: QUIET } }, 'JSON has it always')
})

t.test('questions are counted; lists that protect nobody are bad', async t => {
  const { lines } = await statusOf(t, {
    ...QUIET,
    questions: 12,
    failures: 3,
    cached: 9,
    silent: [{ list: 'silent.example', until: '2026-11-20T12:01:00.000Z' }],
    refusing: [{ list: 'refusing.example', answer: '127.255.255.254' }],
  })
  t.match(lines, [
    /^ok +DNS +12 queries, 3 failed, 9 answers cached \(192\.0\.2\.53\)$/,
    /^BAD +DNS list +silent\.example does not answer; it is skipped until 12:01:00 UTC$/,
    /^BAD +DNS list +refusing\.example answers 127\.255\.255\.254, which is not a listing/,
  ])
  const { lines: away } = await statusOf(t, { ...QUIET, questions: 2, failures: 2 })
  t.match(away, [/^BAD/], 'no question was answered')
})

t.test('where Postfix’s log is, and how many messages it gave back', async t => {
  const read = {
    state: 'reading',
    setting: 'auto',
    source: '/var/log/mail.log',
    problem: undefined,
    givenBack: 2,
  } as const
  const lineOf = async (mailLog?: DaemonStatus['mailLog']) =>
    (await statusOf(t, QUIET, mailLog, 'mail log')).lines
  t.match(await lineOf(read), [/^ok +mail log +\/var\/log\/mail\.log, 2 messages given back$/])
  t.match(await lineOf({ ...read, givenBack: 1 }), [/, 1 message given back$/])
  const unreadable = { ...read, state: 'unreadable', problem: 'permission denied' } as const
  t.match(await lineOf(unreadable), [
    /^note +mail log +\/var\/log\/mail\.log is not readable \(permission denied\): mail that a milter refuses stays counted/,
  ])
  t.match(await lineOf({ ...unreadable, setting: '/var/log/mail.log' }), [/^BAD/])
  t.strictSame(await lineOf({ ...read, state: 'off' }), [], 'nothing to say')
  t.strictSame(await lineOf(), [], 'an older daemon')
})
