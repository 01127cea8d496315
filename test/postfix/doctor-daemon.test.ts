/**
 * `mtpolicyctl doctor` on the daemon's side: each fault with a real daemon, or without one. Beside it
 * is a Postfix configuration in which all is well.
 */

import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import fs from 'node:fs'
import net from 'node:net'
import path from 'node:path'
import t, { type Test } from 'tap'
import { dist, type InstalledDaemon, installDaemon } from '../support/daemon.ts'
import type { ShownFinding } from '../support/diagnose.ts'
import { postfixRigMissing } from '../support/postfix-rig.ts'
import { lanAddress, writeSetup } from '../support/postfix-setup.ts'
import { fill, makeReadOnly, mountSmallDisk, smallDiskMissing } from '../support/small-disk.ts'

const program = path.join(import.meta.dirname, '../../daemon/cli/main.ts')
const skip = postfixRigMissing() || smallDiskMissing() || false

const NO_HISTORY = { 'mtpolicyd/history/days': '0' }

interface Answer {
  readonly status: number
  readonly out: string
  readonly milliseconds: number
}

interface Scene {
  readonly daemon: InstalledDaemon
  readonly state: string
  readonly configDir: string
  doctor(...argv: string[]): Promise<Answer>
  german(): Promise<Answer>
  /** All findings, except those about other Postfix instances on this machine. */
  findings(): Promise<ShownFinding[]>
}

async function scene(t: Test, variables: Readonly<Record<string, string>> = {}): Promise<Scene> {
  // This host has no log of Postfix.
  const daemon = await installDaemon({ 'mtpolicyd/maillog': 'none', ...variables })
  t.teardown(() => daemon.remove())
  const state = path.join(daemon.root, 'var/lib/univention-mtpolicyd')
  fs.mkdirSync(state, { recursive: true })
  const directory = path.join(daemon.root, 'postfix')
  const places = {
    directory,
    port: daemon.port,
    otherPort: 1,
    SMTP: 25,
    SUBMISSION: 587,
    THIRD: 10_025,
    pem: '',
    lan: lanAddress(),
  }
  const row = {
    name: '',
    finds: [],
    fact: 'unasked',
    main: `smtpd_end_of_data_restrictions = ITEM`,
  } as const
  const [configDir = ''] = writeSetup(row, places)
  const run = (env: Readonly<Record<string, string>>, ...argv: string[]): Promise<Answer> => {
    const began = Date.now()
    const all = [program, '--root', daemon.root, 'doctor', '--config-dir', configDir, ...argv]
    return new Promise(resolve => {
      execFile(
        process.execPath,
        all,
        { env: { ...process.env, ...env } },
        (error, stdout, stderr) => {
          const status = typeof error?.code === 'number' ? error.code : error ? 255 : 0
          resolve({ status, out: stdout + stderr, milliseconds: Date.now() - began })
        },
      )
    })
  }
  const doctor = (...argv: string[]) => run({ LC_ALL: 'C' }, ...argv)
  return {
    daemon,
    state,
    configDir,
    doctor,
    german: () => run({ LC_ALL: 'de_DE.UTF-8' }),
    async findings() {
      const { out } = await doctor('--json')
      const { findings } = JSON.parse(out) as { findings: ShownFinding[] }
      return findings.filter(({ id }) => id !== 'unknown-instance')
    },
  }
}

/** Exactly this finding, with this severity and a remedy. */
function one(t: Test, findings: readonly ShownFinding[], id: string, severity: string) {
  const said = findings.map(finding => `${finding.severity} ${finding.id}`)
  t.strictSame(said, [`${severity} ${id}`], `${id} is found, and nothing else`)
  t.match(findings[0]?.remedy, /\S/, findings[0]?.what ?? 'nothing')
}

t.setTimeout(400_000)

t.test('nothing is found if nothing is wrong', { skip }, async t => {
  const { daemon, doctor, findings, german } = await scene(t)
  await daemon.start()
  t.strictSame(await findings(), [])
  const { status, out, milliseconds } = await doctor()
  if (!/unknown-instance/.test(out)) {
    t.equal(status, 0)
    t.match(out, /^Nothing found\. .*587\/inet/)
    t.match((await german()).out, /^Nichts gefunden\. .*587\/inet/)
  }
  t.comment(`doctor took ${milliseconds} ms`)
})

t.test('a daemon that is stopped, or was killed', { skip }, async t => {
  const { daemon, doctor, findings } = await scene(t)
  one(t, await findings(), 'daemon-down', 'error')
  await daemon.start()
  t.strictSame(await findings(), [])
  await daemon.kill()
  one(t, await findings(), 'daemon-down', 'error')
  t.equal((await doctor()).status, 1)
})

t.test('a port in use by another program', { skip }, async t => {
  for (const greeting of ['220 mail.example.org ESMTP\r\n', '', undefined]) {
    const { daemon, findings } = await scene(t)
    const server = net.createServer(socket => {
      socket.on('error', () => undefined)
      if (greeting === undefined) socket.destroy()
      else socket.write(greeting)
    })
    await new Promise<void>(resolve => server.listen(daemon.port, '127.0.0.1', resolve))
    const found = await findings()
    one(t, found, 'port-taken', 'warning')
    t.match(found[0]?.what, new RegExp(`\\(process ${process.pid}\\b`), 'the owner')
    t.match(found[0]?.remedy, /^mtpolicyctl set mtpolicyd\/port=\d+$/)
    server.close()
  }
})

t.test('counts that are lost when the daemon stops', { skip }, async t => {
  const first = await scene(t)
  fs.mkdirSync(path.join(first.state, 'ledger.sqlite'))
  await first.daemon.start()
  one(t, await first.findings(), 'counts-not-durable', 'warning')

  // It could not be written, either, and would be a finding of its own.
  const second = await scene(t, NO_HISTORY)
  mountSmallDisk({ state: second.state, later: undo => t.teardown(undo) }, '100m')
  await makeReadOnly(second.state)
  await second.daemon.start()
  one(t, await second.findings(), 'counts-not-durable', 'warning')
})

t.test('a disk that is nearly full', { skip }, async t => {
  const small = await scene(t)
  mountSmallDisk({ state: small.state, later: undo => t.teardown(undo) }, '40m')
  await small.daemon.start()
  one(t, await small.findings(), 'disk-nearly-full', 'warning')

  const full = await scene(t)
  mountSmallDisk({ state: full.state, later: undo => t.teardown(undo) }, '100m')
  await full.daemon.start()
  t.strictSame(await full.findings(), [])
  fill(full.state)
  // The history may just have been about to open its file.
  const found = (await full.findings()).filter(({ id }) => id !== 'history-failing')
  t.strictSame(
    found.map(({ id }) => id),
    ['disk-nearly-full'],
  )
})

t.test('country data that is outdated or invalid', { skip }, async t => {
  const data = fs.readFileSync(path.join(dist, 'country.mmdb'))
  // The data ends with our mark, which is valid for this date only.
  const end = data.lastIndexOf('mtpolicyd has checked this file: ')
  for (const days of [400, 3000]) {
    const old = Buffer.from(data.subarray(0, end < 0 ? data.length : end))
    const at = old.lastIndexOf('build_epoch') + 'build_epoch'.length
    // A number of up to eight bytes (MaxMind DB format): 0x04 0x02 means four.
    const length = (old[at] ?? 0) & 0x1f
    old.writeUIntBE(Math.floor(Date.now() / 1000) - days * 86_400, at + 2, length)
    const { daemon, state, findings } = await scene(t)
    fs.writeFileSync(path.join(state, 'country.mmdb'), old)
    await daemon.start()
    const found = await findings()
    one(t, found, 'geoip-old', 'warning')
    t.match(found[0]?.what, `${days} days`)
  }
  for (const text of ['this is not a database', data.subarray(0, 100_000)]) {
    const { daemon, state, findings } = await scene(t)
    fs.writeFileSync(path.join(state, 'country.mmdb'), text)
    await daemon.start()
    one(t, await findings(), 'geoip-unreadable', 'warning')
  }
})

t.test('a clock that is behind', { skip }, async t => {
  for (const name of ['ledger.sqlite', '.']) {
    // Whatever makes a file there sets the folder's time right again.
    const { daemon, state, findings } = await scene(t, NO_HISTORY)
    await daemon.start()
    const later = new Date(Date.now() + 3 * 86_400_000)
    fs.utimesSync(path.join(state, name), later, later)
    one(t, await findings(), 'clock-wrong', 'warning')
  }
})

t.test('a configuration written by hand', { skip }, async t => {
  const { daemon, findings } = await scene(t)
  const file = path.join(daemon.root, 'etc/univention-mtpolicyd/mtpolicyd.conf')
  fs.writeFileSync(
    file,
    `port = "127.0.0.1:${daemon.port}"
maillog = none
<VirtualHost ${daemon.port}>
  name = submission
  <Plugin limit>
    module = "SendingLimit"
    threshold = 5
  </Plugin>
</VirtualHost>\n`,
  )
  const stopped = (await findings()).map(({ id }) => id)
  t.strictSame(stopped, ['daemon-down', 'variables-inactive'], 'also if the daemon is not running')
  await daemon.start()
  one(t, await findings(), 'variables-inactive', 'warning')
  await daemon.ctl('commit', '--force-template')
  let left = await findings()
  for (let tries = 0; left.length > 0 && tries < 50; tries++) left = await findings()
  t.strictSame(left, [], 'the remedy works')
})

t.test('right after a change of main.cf; nothing is modified', { skip }, async t => {
  const { daemon, configDir, doctor } = await scene(t)
  await daemon.start()
  const sums = () =>
    fs
      .readdirSync(configDir)
      .map(name => path.join(configDir, name))
      .map(file => {
        const { mtimeMs, ctimeMs, mode } = fs.statSync(file)
        const hash = createHash('sha256').update(fs.readFileSync(file)).digest('hex')
        return `${file} ${hash} ${mtimeMs} ${ctimeMs} ${mode}`
      })
  const main = path.join(configDir, 'main.cf')
  const least = async (touch: () => void): Promise<number> => {
    const times: number[] = []
    for (const argv of [[], ['--json'], []]) {
      touch()
      const before = sums()
      times.push((await doctor(...argv)).milliseconds)
      t.strictSame(sums(), before)
    }
    return Math.min(...times)
  }
  const old = await least(() => fs.utimesSync(main, new Date(0), new Date(0)))
  const fresh = await least(() => fs.appendFileSync(main, '# just now\n'))
  // Each Postfix program would wait for at least 1.8 s; the slower the machine, the more both vary.
  t.ok(fresh < 2 * old + 900, `${fresh} ms, with an old main.cf ${old} ms`)
  t.comment(`right after main.cf was written ${fresh} ms, later ${old} ms`)
})
