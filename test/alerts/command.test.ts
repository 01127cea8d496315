/** Alerts to a command of the administrator: a real program is started, and misbehaves. */

import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { commandDelivery } from '../../daemon/alerts/delivery/command.ts'
import { runOn } from '../../daemon/alerts/delivery/program.ts'
import { alertOf } from '../support/alerts.ts'

const { signal } = new AbortController()

/** A delivery to a shell script; `folder` is its $1 of all calls. */
function command(t: Test, script: string) {
  const folder = t.testdir({})
  const program = join(folder, 'on alert; echo')
  writeFileSync(program, `#!/bin/sh\ncd '${folder}' || exit 9\n${script}\n`)
  chmodSync(program, 0o755)
  const logged: string[] = []
  const delivery = commandDelivery({
    program,
    language: 'en',
    hostName: 'mail.example.org',
    log: line => void logged.push(line),
  })
  return { folder, program, logged, delivery }
}

/** Until the process has ended, which takes a moment after its SIGKILL. */
async function isGone(pid: number): Promise<boolean> {
  for (let tries = 0; tries < 200; tries++) {
    try {
      if (/^State:\s*[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))) return true
    } catch {
      return true
    }
    await sleep(20)
  }
  return false
}

t.test('it gets the alert as JSON and in its environment, and nothing else', async t => {
  process.env.MTPOLICYD_WEB_PORT = '1'
  t.teardown(() => delete process.env.MTPOLICYD_WEB_PORT)
  const { folder, delivery, logged } = command(
    t,
    'cat > input; env | sort > environment; pwd; echo $#',
  )
  t.equal(delivery.batches, 'one')
  const evil = '$(touch /tmp/x); `id`\nMAIL=x\0'
  const alert = alertOf({
    account: evil,
    facts: { country: 'KP', 'odd name': 7, account: 'hidden', path: '/evil', used: 160 },
  })
  t.strictSame(await delivery.deliver([alert], signal), { is: 'done' })
  const input = readFileSync(join(folder, 'input'), 'utf8')
  t.match(input, /^[^\n]+\n$/, 'one line')
  t.match(JSON.parse(input), { id: alert.id, account: evil, facts: { country: 'KP' } })
  const environment = readFileSync(join(folder, 'environment'), 'utf8')
  for (const line of [
    'ALERT_KIND=account-near',
    'ALERT_STATE=raised',
    'ALERT_COUNTRY=KP',
    'ALERT_ODD_NAME=7',
    'ALERT_PATH=/evil',
    'ALERT_TIME=2026-12-01T07:43:20.000Z',
    'ALERT_WHAT=alice@example.org has used 160 of 200 recipients a day',
  ]) {
    t.match(environment, `${line}\n`)
  }
  t.match(environment, 'ALERT_ACCOUNT=$(touch /tmp/x); `id`\n')
  t.notMatch(environment, 'hidden', 'a fact does not replace a member of the alert')
  // tap adds variables of its own to every program that is started.
  const names = environment.match(/^(?!ALERT_|NODE_OPTIONS|_TAPJS)\w+(?==)/gm)
  t.strictSame(
    names?.filter(
      name => !['MAIL', 'PWD', 'LC_ALL', 'PATH', 'OLDPWD', '_', 'SHLVL'].includes(name),
    ),
    [],
  )
  t.match(
    logged,
    [/^alert command .*on alert; echo: \/\S+ 0$/],
    'what it prints is logged, in one line',
  )
})

t.test('its exit status decides whether it is called again', async t => {
  const outcome = async (script: string) => {
    const { delivery, program } = command(t, script)
    const result = await delivery.deliver([alertOf()], signal)
    return 'why' in result ? `${result.is}: ${result.why.replace(program, 'PROGRAM')}` : result.is
  }
  t.equal(await outcome('exit 0'), 'done')
  t.equal(await outcome('exit 75'), 'later: PROGRAM: exit status 75')
  t.equal(await outcome('exit 1'), 'refused: PROGRAM: exit status 1')
  t.equal(await outcome('kill -SEGV $$'), 'refused: PROGRAM: it was ended by SIGSEGV')
  const { delivery, program } = command(t, '')
  chmodSync(program, 0o644)
  t.match(await delivery.deliver([alertOf()], signal), { is: 'later', why: /EACCES/ })
  const options = { language: 'en', hostName: 'h', log: () => undefined } as const
  const none = commandDelivery({ ...options, program: '/nonexistent' })
  t.match(await none.deliver([alertOf()], signal), { is: 'later', why: /ENOENT/ })
})

t.test('it need not read, may print without end, and may leave something behind', async t => {
  const { delivery, logged } = command(
    t,
    'yes äöü 2>/dev/null | head -c 10000000; sleep 60 & echo $! > child; exit 0',
  )
  const long = alertOf({ facts: { why: 'x'.repeat(500_000) } })
  t.strictSame(await delivery.deliver([long], signal), { is: 'done' })
  t.equal(logged.length, 1)
  t.ok((logged[0]?.length ?? 0) < 4300, 'the beginning is logged')
  const pid = Number(readFileSync(join(t.testdirName, 'child'), 'utf8'))
  t.ok(existsSync(`/proc/${pid}`), 'a program in the background is not waited for')
  process.kill(pid, 'SIGKILL')
})

t.test('one that takes too long is killed, with all that it has started', async t => {
  const script = `trap '' TERM; sh -c "trap '' TERM; sleep 60" & echo $! > child; sleep 60`
  const { program } = command(t, script)
  const ended = await runOn(program, { argv: [], input: '', env: {}, milliseconds: 700 })
  t.match(ended, { status: undefined, why: 'it took more than 0.7 s' })
  t.ok(await isGone(Number(readFileSync(join(t.testdirName, 'child'), 'utf8'))))

  const { delivery } = command(t, script)
  const stop = new AbortController()
  const stopped = delivery.deliver([alertOf()], stop.signal)
  const child = join(t.testdirName, 'child')
  while (!existsSync(child) || readFileSync(child, 'utf8') === '') await sleep(20)
  stop.abort()
  t.match(await stopped, { is: 'later', why: 'it was interrupted' })
  t.ok(await isGone(Number(readFileSync(child, 'utf8'))))
  t.match(await delivery.deliver([alertOf()], stop.signal), { is: 'later' }, 'nor is it begun')
})

t.test('why a program cannot be started is told so that it can be mended', async t => {
  const folder = t.testdir({
    'windows.sh': '#!/bin/sh\r\necho\r\n',
    'plain.sh': '#!/bin/sh\n',
    folder: {},
  })
  chmodSync(join(folder, 'windows.sh'), 0o755)
  for (const [name, why] of [
    [
      'windows.sh',
      /: its first line names a program that is not there, or ends in CR LF \(ENOENT\)$/,
    ],
    ['plain.sh', /: the user of the daemon may not run it \(EACCES\); chmod 755/],
    ['folder', /: it is not a file \(EACCES\)$/],
    ['missing', /: there is no such program \(ENOENT\)$/],
    ['plain.sh/below', /ENOTDIR/],
  ] as const) {
    const program = join(folder, name)
    const log = (): void => undefined
    const delivery = commandDelivery({ program, language: 'en', hostName: 'mail', log })
    t.match(await delivery.deliver([alertOf()], signal), { why }, name)
  }
})
