/** `top --watch` in a real terminal: it is live, ends as people end it, and gives the terminal back. */

import { execFile, spawn, spawnSync } from 'node:child_process'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { accountHost } from '../support/account-host.ts'
import { memoryHistory, sums } from '../support/memory-history.ts'
import { chain, plugin } from '../support/world.ts'

const PROGRAM = join(import.meta.dirname, '../../daemon/cli/main.ts')
const DRIVER = join(import.meta.dirname, '../support/terminal.py')
const TEXT = chain(plugin('SendingLimit', 'threshold = 1000', 'limit'))
const FOOT = 'q to end'
const ENTER = '\x1b[?1049h'
const LEAVE = '\x1b[?25h\x1b[?1049l'

const hasPython = spawnSync('python3', ['-c', 'pass']).status === 0
const skip = hasPython || process.env.CI ? false : 'a terminal needs python3'

interface Step {
  readonly wait: string
  readonly type?: string
  readonly size?: readonly [columns: number, rows: number]
  readonly signal?: string
}

interface Session {
  readonly shown: readonly string[]
  readonly status: number
  readonly isRestored: boolean
}

function inTerminal(
  root: string,
  steps: readonly Step[],
  argv: readonly string[],
): Promise<Session> {
  const plan = JSON.stringify({ columns: 80, rows: 12, steps })
  const command = [DRIVER, plan, process.execPath, PROGRAM, '--root', root, ...argv]
  return new Promise((resolve, reject) => {
    execFile('python3', command, (error, stdout, stderr) => {
      if (error) reject(new Error(stderr))
      else resolve(JSON.parse(stdout))
    })
  })
}

/** What is on the screen after the last renewal. */
function linesOf(shown: string): string[] {
  const frame = shown.slice(shown.lastIndexOf('\x1b[H') + '\x1b[H'.length)
  // biome-ignore lint/suspicious/noControlCharactersInRegex: what a terminal obeys
  return frame.replace(/\x1b\[[KJ]/g, '').split(/\r+\n/)
}

async function busyHost(t: Test) {
  const senders = Array.from({ length: 50 }, (_, at) =>
    sums(`user${at}@example.org`, { recipients: 1000 - at }),
  )
  return accountHost(t, TEXT, { history: memoryHistory({ senders }) })
}

for (const [how, step] of [
  ['q', { wait: FOOT, type: 'q' }],
  ['Ctrl-C', { wait: FOOT, type: '\x03' }],
  ['SIGTERM', { wait: FOOT, signal: 'SIGTERM' }],
] as const) {
  t.test(`${how} ends it, and the terminal is as before`, { skip }, async t => {
    const { root } = await busyHost(t)
    const { shown, status, isRestored } = await inTerminal(root, [step], ['top', '--watch'])
    t.equal(status, 0)
    t.ok(isRestored)
    t.match(shown[0], ENTER)
    t.ok(shown[1]?.includes(LEAVE), JSON.stringify(shown[1]))
    t.notMatch(shown[1], ENTER)
  })
}

t.test(
  'it fills the window, also after that has changed, and other keys do nothing',
  { skip },
  async t => {
    const { root } = await busyHost(t)
    const steps: readonly Step[] = [
      { wait: FOOT, size: [60, 8] },
      { wait: FOOT, type: 'x\r' },
      // Sent by a key for functions.
      { wait: FOOT, type: '\x1bOQ' },
      { wait: FOOT, type: 'q' },
    ]
    const { shown, isRestored } = await inTerminal(root, steps, ['top', '--watch'])
    t.ok(isRestored)
    const [large = [], small = [], later = []] = shown.map(linesOf)
    t.equal(large.length, 12)
    t.match(large[3], /^user0@example\.org +1000 /)
    t.equal(large.at(-1), FOOT)
    t.equal(small.length, 8)
    t.ok(small.every(line => line.length <= 60))
    t.match(later[3], /^user0\b/, 'renewed by itself')
  },
)

t.test('what fails meanwhile is told, and tried again', { skip }, async t => {
  let answers = 0
  const history = memoryHistory({ senders: [sums('alice', { recipients: 7 })] })
  const { root } = await accountHost(t, TEXT, {
    history: {
      ...history,
      async top(query) {
        if (++answers === 2) throw new Error('the disk\x1b[2J is full')
        return history.top(query)
      },
    },
  })
  const { shown, status, isRestored } = await inTerminal(
    root,
    [{ wait: FOOT }, { wait: 'the disk' }, { wait: FOOT, type: 'q' }],
    ['top', '--watch'],
  )
  t.equal(status, 0)
  t.ok(isRestored)
  t.match(shown.join(''), 'mtpolicyctl: the disk\\x1b[2J is full')
  t.notMatch(shown.join(''), '\x1b[2J')
})

t.test('without a daemon the terminal is not touched', { skip }, async t => {
  const nowhere = join(tmpdir(), 'no-such-root')
  const { shown, status, isRestored } = await inTerminal(nowhere, [], ['top', '--watch'])
  t.equal(status, 1)
  t.ok(isRestored)
  t.equal(shown[0], '\r\nmtpolicyctl: the daemon is not running\r\n')
})

t.test('into a pipe each table follows the previous one, and as JSON each is a line', async t => {
  const { root } = await busyHost(t)
  for (const [more, record] of [
    [[], /^Since .*\n\n.*\nuser0.*\n\nSince .*\n\n.*\nuser0/],
    [['--json'], /^\{"since".*\}\n\{"since".*\}\n/],
  ] as const) {
    const argv = [PROGRAM, '--root', root, 'top', '--watch', '--limit', '1', ...more]
    const child = spawn(process.execPath, argv, { stdio: ['ignore', 'pipe', 'inherit'] })
    let out = ''
    for await (const chunk of child.stdout.setEncoding('utf8')) {
      out += chunk
      if (record.test(out)) break
    }
    child.kill()
    t.match(out, record)
    t.notMatch(out, '\x1b')
  }
})
