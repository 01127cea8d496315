/** Alerts of the real program leave: to a receiver with troubles of its own, and by mail. */

import { spawn, spawnSync } from 'node:child_process'
import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { createServer, type RequestListener } from 'node:http'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { headerOf, parseMail, parserMissing } from '../support/alerts.ts'
import { askPort, dist, freePort, type InstalledDaemon, installDaemon } from '../support/daemon.ts'

async function refused(daemon: InstalledDaemon, user: string): Promise<void> {
  const answer = await askPort(daemon.port, {
    request: 'smtpd_access_policy',
    protocol_state: 'END-OF-MESSAGE',
    instance: `${user}.1`,
    sasl_username: user,
    sender: 'x@example.org',
    client_address: '127.0.0.1',
    recipient_count: '11',
    size: '1000',
  })
  if (!/reject/.test(answer ?? '')) throw new Error(`${answer}`)
}

async function until(holds: () => boolean): Promise<void> {
  for (let tries = 0; tries < 3000; tries++) {
    if (holds()) return
    await sleep(20)
  }
  throw new Error('it did not come about')
}

t.test(
  'a webhook gets every alert, signed and in order, whatever happens to either side',
  async t => {
    const port = await freePort()
    const daemon = await installDaemon({
      'mtpolicyd/threshold': '10',
      'mtpolicyd/alert/webhook': `http://127.0.0.1:${port}/hook`,
    })
    t.teardown(() => daemon.remove())
    const secret = (await daemon.ctl('alert', 'secret')).stdout.trim()
    t.match(secret, /^[0-9a-f]{64}$/)

    const received: { readonly id: string; readonly account: string }[] = []
    let forged = 0
    const troubles: RequestListener[] = [
      (_request, response) => void response.writeHead(500).end('out of order'),
      request => request.socket.destroy(),
    ]
    const server = createServer((request, response) => {
      let body = ''
      request.on('data', chunk => {
        body += chunk
      })
      request.on('end', () => {
        const trouble = troubles.shift()
        if (trouble) {
          trouble(request, response)
          return
        }
        const { 'x-mtpolicyd-signature': signature, 'x-mtpolicyd-id': id } = request.headers
        const [, time] = /^t=(\d+),/.exec(String(signature)) ?? []
        const expected = createHmac('sha256', secret).update(`${time}.${body}`).digest('hex')
        const alert = JSON.parse(body)
        if (signature !== `t=${time},v1=${expected}` || id !== alert.id) forged++
        received.push(alert)
        response.end()
      })
    })
    t.teardown(() => {
      server.closeAllConnections()
      server.close()
    })

    await daemon.start()
    const users = ['a', 'b', 'c', 'd', 'e', 'f']
    for (const user of users.slice(0, 3)) await refused(daemon, user)
    t.ok(
      await daemon.logged(
        /alerts to webhook have to wait: http:\/\/127\.0\.0\.1:\d+: .*ECONNREFUSED/,
      ),
    )
    for (const user of users.slice(3)) await refused(daemon, user)
    const journal = join(daemon.root, 'var/lib/univention-mtpolicyd/alerts.log')
    await until(() => readFileSync(journal, 'utf8').includes('"account":"f"'))
    await daemon.kill()
    await once(server.listen(port, '127.0.0.1'), 'listening')
    await daemon.start()
    const accounts = (): string[] => [...new Set(received.map(({ account }) => account))]
    await until(() => accounts().length >= users.length)
    t.strictSame(accounts(), users, 'in the order in which they were raised')
    t.equal(forged, 0)
    t.equal(troubles.length, 0, 'it has failed twice meanwhile')
    t.match(daemon.log(), 'it answers 500 (out of order)')
    t.notMatch(daemon.log(), /\/hook|[0-9a-f]{64}/, 'neither path nor secret are logged')
  },
)

/** A root whose sendmail(1) notes its arguments and keeps the mails. */
function installSendmail({ root }: InstalledDaemon): () => readonly string[] {
  mkdirSync(join(root, 'usr/sbin'), { recursive: true })
  const box = join(root, 'box')
  mkdirSync(box)
  const program = join(root, 'usr/sbin/sendmail')
  writeFileSync(program, `#!/bin/sh\n{ echo "X-Argv: $*"; cat; } > '${box}'/$$\n`)
  chmodSync(program, 0o755)
  return () => readdirSync(box).map(name => readFileSync(join(box, name), 'utf8'))
}

t.test('a test alert is a mail in German', { skip: parserMissing }, async t => {
  const daemon = await installDaemon({
    'mtpolicyd/alert/mail': 'wache@example.org',
    'mtpolicyd/alert/sender': 'mta@example.org',
    'mtpolicyd/alert/language': 'de',
  })
  t.teardown(() => daemon.remove())
  const mails = installSendmail(daemon)
  await daemon.start()
  const { stdout, status } = await daemon.ctl('alert', 'test')
  t.strictSame([status, stdout], [0, 'ok  mail to wache@example.org\n'])
  const [mail = '', ...others] = mails()
  t.strictSame(others, [])
  const parsed = parseMail(mail)
  t.strictSame(parsed.defects, [])
  t.match(
    headerOf(parsed, 'X-Argv'),
    /^-i -f mta\+mtpolicyd-\w+@example\.org -- wache@example\.org$/,
  )
  t.match(headerOf(parsed, 'Subject'), /dies ist ein Test der Benachrichtigungen von /)
  t.match(headerOf(parsed, 'X-Mtpolicyd-Alert'), /^test raised \d+-\d+$/)
  t.match(parsed.text, /^Dies ist ein Test der Benachrichtigungen von .*\n.* hat ihn ausgelöst/)
})

const setpriv = spawnSync('setpriv', ['--version']).status === 0
t.test(
  'where it may not start sendmail(1), another process sends the mail',
  { skip: setpriv ? false : 'no setpriv' },
  async t => {
    const daemon = await installDaemon({ 'mtpolicyd/alert/mail': 'wache@example.org' })
    const mails = installSendmail(daemon)
    const argv = ['--no-new-privs', join(dist, 'mtpolicyd'), '--root', daemon.root, '-f']
    const child = spawn('setpriv', argv, { stdio: 'ignore', cwd: daemon.root })
    t.teardown(async () => {
      child.kill('SIGKILL')
      await once(child, 'exit')
      await daemon.remove()
    })
    await until(() => existsSync(join(daemon.root, 'run/univention-mtpolicyd/control.sock')))
    const outgoing = join(daemon.root, 'var/lib/univention-mtpolicyd/outgoing')
    const waiting = (): string[] => (existsSync(outgoing) ? readdirSync(outgoing) : [])
    const test = daemon.ctl('alert', 'test')
    await until(() => waiting().some(name => /^\d+-\d+-wache-example\.org\.mail$/.test(name)))
    t.strictSame(mails(), [], 'not yet')
    t.equal((await daemon.ctl('alert', 'deliver')).status, 0)
    t.match(await test, { status: 0, stdout: 'ok  mail to wache@example.org\n' })
    t.match(mails(), [/^Subject: \[.*\] this is a test of the alerts of/m])
    t.strictSame(waiting(), [])

    rmSync(join(daemon.root, 'usr/sbin/sendmail'))
    const failing = daemon.ctl('alert', 'test')
    await until(() => waiting().length > 0)
    t.equal((await daemon.ctl('alert', 'deliver')).status, 75)
    t.match(await failing, {
      status: 1,
      stdout: /^BAD mail to wache@example\.org: .*there\s+is\s+no\s+such\s+program/s,
    })
  },
)
