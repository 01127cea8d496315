/** Where the log goes, while the daemon runs. */

import {
  existsSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { askPort, freePort, type InstalledDaemon, installDaemon } from '../support/daemon.ts'

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
  for (let tries = 0; tries < 120; tries++) {
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
