/** Alerts of the real program: over kill -9, with a receiver that is down, and nothing where they are off. */

import { existsSync, readdirSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { askPort, type InstalledDaemon, installDaemon } from '../support/daemon.ts'

interface Told {
  readonly id: string
  readonly kind: string
  readonly account: string
  readonly state: string
}

let messages = 0

async function mail(daemon: InstalledDaemon, user: string, recipients: number): Promise<string> {
  const answer = await askPort(daemon.port, {
    request: 'smtpd_access_policy',
    protocol_state: 'END-OF-MESSAGE',
    instance: `e2e.${messages++}`,
    sasl_username: user,
    sender: 'x@example.org',
    client_address: '127.0.0.1',
    recipient_count: String(recipients),
    size: '1000',
  })
  return answer ?? ''
}

/** A program that fails as long as there is a file `down`, and else notes what it is told. */
function notingProgram(root: string): { readonly path: string; told(): readonly Told[] } {
  const path = join(root, 'note.sh')
  const file = join(root, 'told')
  writeFileSync(
    path,
    `#!/bin/sh\ntest -e ${root}/down && { echo "not now" >&2; exit 75; }\ncat >>${file}; echo >>${file}\n`,
    { mode: 0o755 },
  )
  return {
    path,
    told() {
      if (!existsSync(file)) return []
      const lines = readFileSync(file, 'utf8').split('\n')
      // Written by the program's daemon, as JSON.
      return lines.filter(line => line !== '').map(line => JSON.parse(line) as Told)
    },
  }
}

async function until(holds: () => boolean): Promise<void> {
  for (let tries = 0; tries < 3000; tries++) {
    if (holds()) return
    await sleep(20)
  }
  throw new Error('it did not come about')
}

t.test('nothing is lost over kill -9, and everything is told in its order', async t => {
  const daemon = await installDaemon({ 'mtpolicyd/threshold': '10' })
  t.teardown(() => daemon.remove())
  const { path } = notingProgram(daemon.root)
  writeFileSync(join(daemon.root, 'down'), '')
  const set = await daemon.ctl('set', `mtpolicyd/alert/command=${path}`)
  t.equal(set.status, 0, set.stderr)
  await daemon.start()
  for (let round = 0; round < 3; round++) {
    for (let i = 0; i < 5; i++) {
      await mail(daemon, `user${round}-${i}`, 9)
    }
    // On the disk: what is not may be lost, and is raised again by later mail.
    await until(() => readJournal(daemon).includes(`"account":"user${round}-4"`))
    await daemon.kill()
    await daemon.start()
  }
  const list = await daemon.ctl('alert', 'list', '--json')
  const { alerts } = JSON.parse(list.stdout)
  const near = alerts.filter(({ kind }: Told) => kind === 'account-near')
  t.equal(near.length, 15)
  t.strictSame(near[0].waitsFor, ['command'])
  t.match(alerts, [{ kind: 'restart-loop', severity: 'error' }], 'it has noticed the crashes, too')
  const status = await daemon.ctl('status')
  t.match(status.stdout, /^BAD +daemon +the daemon has crashed 3 times within 15 minutes/m)
  const lines = status.stdout
    .split('\n')
    .filter(line => line.length > 80 && !line.includes(daemon.root))
  t.strictSame(lines, [])

  await daemon.ctl('set', `mtpolicyd/alert/command=`)
  t.equal((await daemon.ctl('alert', 'test')).status, 1)
  t.match((await daemon.ctl('alert', 'list')).stdout, /^Alerts are off/)
})

t.test('what waits is told after a restart in order, once the receiver works', async t => {
  const daemon = await installDaemon({ 'mtpolicyd/threshold': '10' })
  t.teardown(() => daemon.remove())
  const { path, told } = notingProgram(daemon.root)
  writeFileSync(join(daemon.root, 'down'), '')
  await daemon.ctl('set', `mtpolicyd/alert/command=${path}`)
  await daemon.start()
  const failed = await daemon.ctl('alert', 'test')
  t.equal(failed.status, 1)
  t.match(failed.stdout, /^BAD command to .*exit\s+status\s+75/s)
  for (let i = 0; i < 20; i++) await mail(daemon, `user${i}`, 9)
  await until(() => /"account":"user19"/.test(readJournal(daemon)))
  await daemon.kill()
  unlinkSync(join(daemon.root, 'down'))
  await daemon.start()
  await until(() => told().length >= 20)
  t.strictSame(
    told().map(({ account }) => account),
    Array.from({ length: 20 }, (_, i) => `user${i}`),
  )
  t.equal(new Set(told().map(({ id }) => id)).size, 20)
  await mail(daemon, 'user0', 9)
  await until(() => told().length === 21)
  t.match(told().at(-1), { kind: 'account-at-limit', account: 'user0', state: 'raised' })
  const ok = await daemon.ctl('alert', 'test')
  t.strictSame([ok.status, ok.stdout], [0, `ok  command to ${path}\n`])
  t.equal(await daemon.stop(), 0)
  await daemon.start()
  await mail(daemon, 'user0', 9)
  const list = await daemon.ctl('alert', 'list', '--now')
  t.match(list.stdout, /mail of user0 beyond its limit was refused/)
  t.equal(told().length, 22, 'a restart tells nothing twice')
})

t.test('where nobody is to be told, there is no file and nothing to wait for', async t => {
  const daemon = await installDaemon({ 'mtpolicyd/threshold': '10' })
  t.teardown(() => daemon.remove())
  await daemon.start()
  await mail(daemon, 'alice', 9)
  t.match(await mail(daemon, 'alice', 9), /reject/)
  const names = readdirSync(join(daemon.root, 'var/lib/univention-mtpolicyd'))
  t.strictSame(
    names.filter(name => name.startsWith('alerts')),
    [],
  )
  const test = await daemon.ctl('alert', 'test')
  t.equal(test.status, 1)
  t.match(test.stderr, 'no alerts are switched on: mtpolicyctl set mtpolicyd/alert/mail=root')
  t.notMatch((await daemon.ctl('status')).stdout, /alerts/)
})

function readJournal(daemon: InstalledDaemon): string {
  return readFileSync(join(daemon.root, 'var/lib/univention-mtpolicyd/alerts.log'), 'utf8')
}
