/** mtpolicyctl status: what it says of a daemon that asks the DNS. */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { statusCommand } from '../../daemon/cli/status-command.ts'
import type { DaemonStatus } from '../../daemon/control/protocol.ts'
import { serveControl } from '../../daemon/control/server.ts'
import { pathsBelow } from '../../daemon/paths.ts'
import { NOT_FOUND } from '../../daemon/postfix/external-program.ts'

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
async function statusOf(t: Test, dns: DaemonStatus['dns']) {
  const root = mkdtempSync(join(tmpdir(), 'status-'))
  const paths = pathsBelow(root)
  const server = await serveControl(paths.control, {
    status: () => ({ ...WELL, dns }),
    reload: () => undefined,
  })
  t.teardown(() => {
    server.close()
    rmSync(root, { recursive: true })
  })
  const say = async (...argv: string[]): Promise<string> => {
    const said: string[] = []
    await statusCommand(argv, {
      paths,
      out: text => void said.push(text),
      err: () => undefined,
      postfix: () => ({
        run: async () => ({ status: NOT_FOUND, stdout: '', stderr: '' }),
        endpoint: { host: '127.0.0.1', port: 12_345 },
        stateFile: join(root, 'postfix.json'),
      }),
      leavesPostfixAlone: () => true,
    })
    return said.join('')
  }
  const lines = (await say()).replaceAll(/\n {5,}/g, ' ').split('\n')
  return { lines: lines.filter(line => /^.{4} DNS/.test(line)), json: await say('--json') }
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
    /^ok +DNS +12 asked, 3 failed, 9 answers kept \(192\.0\.2\.53\)$/,
    /^BAD +DNS list +silent\.example does not answer, passed over until 12:01:00 UTC$/,
    /^BAD +DNS list +refusing\.example answers 127\.255\.255\.254/,
  ])
  const { lines: away } = await statusOf(t, { ...QUIET, questions: 2, failures: 2 })
  t.match(away, [/^BAD/], 'no question was answered')
})
