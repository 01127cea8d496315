/** Where the log goes, while the daemon runs. */

import { execFileSync, spawnSync } from 'node:child_process'
import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  readSync,
  realpathSync,
  renameSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { askPort, dist, freePort, type InstalledDaemon, installDaemon } from '../support/daemon.ts'

const READ_AT_ONCE = constants.O_RDONLY | constants.O_NONBLOCK
/** Longer than a busy machine takes for a reload. */
const RESCUE_MILLISECONDS = 20_000

/** A daemon with a configuration by hand, in which more can be said. */
async function startWith(t: Test, more: (root: string) => string) {
  const daemon = await installDaemon()
  t.teardown(() => daemon.remove())
  const { port, root } = daemon
  const configure = (text: string, ports: readonly number[] = [port]): void => {
    const blocks = ports.map(
      one =>
        `<VirtualHost ${one}>\nname = v${one}\n<Plugin a>\nmodule = "Action"\naction = "dunno"\n</Plugin>\n</VirtualHost>\n`,
    )
    const at = ports.map(one => `127.0.0.1:${one}`).join(',')
    writeFileSync(
      join(root, 'etc/univention-mtpolicyd/mtpolicyd.conf'),
      `port = "${at}"\n${text}${blocks.join('')}`,
    )
  }
  configure(more(root))
  await daemon.start()
  return { daemon, configure, to: (name: string) => `log_file = "${join(root, name)}"\n` }
}

/** Asks for a mail of this instance and waits for its line; was it written to the file? */
async function logsTo(daemon: InstalledDaemon, name: string, instance: string): Promise<boolean> {
  await askPort(daemon.port, { request: 'smtpd_access_policy', protocol_state: 'RCPT', instance })
  return eventually(() => textOf(daemon, name).includes(`instance=${instance}`))
}

const textOf = ({ root }: InstalledDaemon, name: string): string =>
  existsSync(join(root, name)) ? readFileSync(join(root, name), 'utf8') : ''

async function eventually(what: () => boolean): Promise<boolean> {
  for (let tries = 0; tries < 1000; tries++) {
    if (what()) return true
    await sleep(25)
  }
  return false
}

/** How often the daemon has the file open. */
function descriptors({ pid, root }: InstalledDaemon, name: string): number {
  const folder = `/proc/${pid}/fd`
  const path = join(realpathSync(root), name)
  return readdirSync(folder).filter(fd => {
    try {
      return readlinkSync(join(folder, fd)) === path
    } catch {
      return false
    }
  }).length
}

t.test('a reload that is refused leaves the log where it is', async t => {
  const { daemon, configure, to } = await startWith(t, root => `log_file = "${root}/one"\n`)
  const busy = createServer()
  const port = await freePort()
  await new Promise<void>(resolve => busy.listen(port, '127.0.0.1', resolve))
  t.teardown(() => busy.close())
  configure(to('two'), [daemon.port, port])
  const { status, stderr } = await daemon.ctl('reload')
  t.equal(status, 1)
  t.match(stderr, /The old configuration stays in use/)
  t.ok(await logsTo(daemon, 'one', 'after'), 'a mail is logged to the old file')
  t.match(textOf(daemon, 'one'), /reload refused/)
  t.equal(textOf(daemon, 'two'), '')
  t.equal(descriptors(daemon, 'two'), 0)
})

t.test('with each reload the log goes where the file says, and nothing stays open', async t => {
  const { daemon, configure, to } = await startWith(t, () => '')
  for (const [i, name] of ['one', 'two', 'one'].entries()) {
    configure(to(name))
    t.equal((await daemon.ctl('reload')).status, 0)
    t.ok(await logsTo(daemon, name, `mail${i}`), `to "${name}"`)
  }
  configure('')
  t.equal((await daemon.ctl('reload')).status, 0)
  t.ok(await logsTo(daemon, 'log', 'last'), 'without log_file to standard error again')
  t.ok(await eventually(() => descriptors(daemon, 'one') + descriptors(daemon, 'two') === 0))
})

t.test('a named pipe that nobody reads is refused, and mail is answered on', async t => {
  const { daemon, configure, to } = await startWith(t, root => `log_file = "${root}/one"\n`)
  const pipe = join(daemon.root, 'pipe')
  execFileSync('mkfifo', [pipe])
  configure(to('pipe'))
  // A daemon that waits for a reader gets one, and the test its end.
  let isRescued = false
  const rescue = setTimeout(() => {
    isRescued = true
    closeSync(openSync(pipe, READ_AT_ONCE))
  }, RESCUE_MILLISECONDS)
  t.teardown(() => clearTimeout(rescue))
  const { status, stderr } = await daemon.ctl('reload')
  t.notOk(isRescued, 'at once')
  t.equal(status, 1)
  t.match(stderr, /pipe is a named pipe or a socket that nobody reads/)
  t.ok(await logsTo(daemon, 'one', 'after'), 'a mail is answered, and logged to the old file')

  t.test('with a reader it gets the log', async t => {
    const reader = openSync(pipe, READ_AT_ONCE)
    t.equal((await daemon.ctl('reload')).status, 0)
    await askPort(daemon.port, { request: 'smtpd_access_policy', instance: 'piped' })
    await sleep(100)
    const bytes = Buffer.alloc(64 * 1024)
    t.match(bytes.toString('utf8', 0, readSync(reader, bytes)), /instance=piped/)
    closeSync(reader)
  })
})

t.test('after SIGUSR1 a pipe that nobody reads does not take the place of the log', async t => {
  const { daemon } = await startWith(t, root => `log_file = "${root}/one"\n`)
  const path = join(daemon.root, 'one')
  renameSync(path, `${path}.1`)
  execFileSync('mkfifo', [path])
  const rescue = setTimeout(() => closeSync(openSync(path, READ_AT_ONCE)), RESCUE_MILLISECONDS)
  t.teardown(() => clearTimeout(rescue))
  process.kill(daemon.pid ?? 0, 'SIGUSR1')
  t.ok(await logsTo(daemon, 'one.1', 'after'), 'a mail is logged to the file of before')
  const said = /cannot reopen the log file, keeping the old one: log_file .*one is a named pipe/
  t.ok(await eventually(() => said.test(textOf(daemon, 'one.1'))))
})

t.test(
  'why it does not start is an error in the journal of systemd, and plain elsewhere',
  async t => {
    const folder = t.testdir({ 'bad.conf': 'port = "no port"\nnonsense\n' })
    const stderrOf = (name: string, isJournal: boolean): string => {
      const fd = openSync(join(folder, name), 'w+')
      const { dev, ino } = fstatSync(fd)
      const argv = ['--root', folder, '-f', '-c', join(folder, 'bad.conf')]
      const { status } = spawnSync(join(dist, 'mtpolicyd'), argv, {
        stdio: ['ignore', 'ignore', fd],
        env: { ...process.env, JOURNAL_STREAM: `${dev}:${isJournal ? ino : 1}` },
      })
      closeSync(fd)
      t.equal(status, 1)
      return readFileSync(join(folder, name), 'utf8')
    }
    const plain = stderrOf('plain', false)
    t.match(plain, /bad\.conf:2:1: /)
    t.equal(stderrOf('journal', true), plain.trimEnd().replace(/^/gm, '<3>').concat('\n'))
  },
)
