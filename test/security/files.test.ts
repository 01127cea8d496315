/** What lies on the disk, and who may do what with it: modes, planted links, an ordinary user. */

import { spawn } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import t, { type Test } from 'tap'
import { checkAsDaemon, checkTextAsDaemon } from '../../daemon/assembly/configuration.ts'
import { loadOwnPlugins } from '../../daemon/assembly/own-plugins.ts'
import { pathsBelow } from '../../daemon/assembly/paths.ts'
import { ledgerSlot } from '../../daemon/ledger/slot.ts'
import { formatNotice, formatProblem } from '../../daemon/policy/problem.ts'
import { claimPidFile } from '../../daemon/run/pid-file.ts'
import { askPort, dist, type Finished, freePort, runProgram } from '../support/daemon.ts'
import { until } from '../support/policy-client.ts'

const NOBODY = 65_534
const isRoot = process.getuid?.() === 0
const asNobody = isRoot ? false : 'only root can be somebody else'

/** Everything below a folder: its path from there, and its mode. */
function modesBelow(folder: string): [path: string, mode: number][] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).map(path => [
    path,
    lstatSync(join(folder, path)).mode & 0o7777,
  ])
}

/** The programs, started under a umask. */
function under(umask: string, program: string, argv: readonly string[]) {
  const words = ['-c', 'umask "$0"; exec "$@"', umask, join(dist, program), ...argv]
  return spawn('/bin/sh', words, { stdio: ['ignore', 'ignore', 'pipe'] })
}

const ended = (child: ReturnType<typeof spawn>) =>
  new Promise<number | null>(resolve => child.once('exit', resolve))

async function answers(port: number): Promise<string | undefined> {
  for (;;) {
    const answer = await askPort(port, {
      request: 'smtpd_access_policy',
      protocol_state: 'END-OF-MESSAGE',
      instance: 'files.0',
      recipient_count: '1',
      sasl_username: 'alice',
    }).catch(() => undefined)
    if (answer !== undefined) return answer
    await new Promise(resolve => setTimeout(resolve, 20))
  }
}

/** Below /tmp: an ordinary user has to come that far. */
function openFolder(t: Test): string {
  const folder = join(realpathSync(tmpdir()), `files-${process.pid}-${Math.random()}`)
  mkdirSync(folder, { mode: 0o755 })
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

for (const umask of ['000', '022', '077']) {
  t.test(`under umask ${umask} nothing may be written by others`, async t => {
    const root = openFolder(t)
    const port = await freePort()
    const set = ['--root', root, 'set', `mtpolicyd/port=${port}`, 'ucr/replog/enabled=yes']
    t.equal(await ended(under(umask, 'mtpolicyctl', set)), 0)
    const conf = join(root, 'etc/univention-mtpolicyd/mtpolicyd.conf')
    const child = under(umask, 'mtpolicyd', ['--root', root, '-f'])
    const end = ended(child)
    t.teardown(() => child.kill('SIGKILL'))
    t.equal(await answers(port), 'action=dunno')
    t.equal(await ended(under(umask, 'mtpolicyctl', ['--root', root, 'set', 'a=1'])), 0)

    const control = join(root, 'run/univention-mtpolicyd/control.sock')
    await until(() => existsSync(control))
    const modes = new Map(modesBelow(root))
    t.ok(modes.size >= 15, `${modes.size} files and folders`)
    for (const [path, mode] of modes) {
      const isForItsGroup = path.endsWith('control-read.sock')
      t.equal(mode & (isForItsGroup ? 0o002 : 0o022), 0, `${path} ${mode.toString(8)}`)
    }
    const sockets = ['control.sock', 'control-read.sock'].map(name =>
      modes.get(`run/univention-mtpolicyd/${name}`),
    )
    t.strictSame(sockets, [0o600, 0o660], 'whoever may ask may not change')
    t.equal((modes.get('var/lib/univention-mtpolicyd') ?? 0) & 0o007, 0, 'who sent how much')
    const registry = 'etc/univention-mtpolicyd/registry'
    t.equal((modes.get(`${registry}/registry.lock`) ?? 0) & 0o077, 0, 'nobody can hold it')
    t.equal((modes.get('var/log/univention-mtpolicyd/registry.replog') ?? 0) & 0o007, 0)
    // The daemon is another user than root, who made these.
    for (const [path, mode] of modes) {
      if (!path.startsWith('etc/') || path.endsWith('registry.lock')) continue
      const read = lstatSync(join(root, path)).isDirectory() ? 0o055 : 0o044
      t.equal(mode & 0o077, read, `${path} ${mode.toString(8)} is for all to read`)
    }
    t.ok(readFileSync(conf, 'utf8').includes(String(port)))
    child.kill('SIGTERM')
    await end
    for (const [path, mode] of modesBelow(root)) t.equal(mode & 0o002, 0, `${path}, at the end`)
  })
}

t.test('a configuration that is for few stays so when it is rendered again', async t => {
  const root = openFolder(t)
  const ctl = (...argv: string[]) => runProgram(join(dist, 'mtpolicyctl'), '--root', root, ...argv)
  await ctl('set', 'mtpolicyd/threshold=5')
  const private_ = ['mtpolicyd.conf', 'registry/base.conf', 'registry/base.conf.bak'].map(name =>
    join(root, 'etc/univention-mtpolicyd', name),
  )
  for (const file of private_) chmodSync(file, 0o600)
  t.equal((await ctl('set', 'mtpolicyd/threshold=6')).status, 0)
  for (const file of private_) t.equal(lstatSync(file).mode & 0o777, 0o600, file)
})

t.test('root sees what the daemon cannot read', { skip: asNobody }, async t => {
  const root = openFolder(t)
  const templates = join(root, 'templates')
  cpSync(join(import.meta.dirname, '../../templates'), templates, { recursive: true })
  const paths = { ...pathsBelow(root), templates }
  const etc = join(root, 'etc/univention-mtpolicyd')
  mkdirSync(join(etc, 'conf.d'), { recursive: true })
  writeFileSync(join(root, 'etc/passwd'), `univention-mtpolicyd:x:${NOBODY}:${NOBODY}::/:/bin/sh\n`)
  writeFileSync(join(root, 'etc/group'), 'shared:x:4711:somebody,univention-mtpolicyd\n')
  const found = async (): Promise<string[]> => {
    const { notices, problems } = await checkAsDaemon(paths, undefined)
    t.equal(process.geteuid?.(), 0, 'root again')
    return [...notices, ...problems].map(found => formatNotice(found).replaceAll(root, ''))
  }
  t.strictSame(await found(), [], 'rendered by root, read by the daemon')

  const piece = join(etc, 'conf.d/own.conf')
  writeFileSync(piece, '# mine\n', { mode: 0o600 })
  t.match((await found())[0], /cannot read .*own\.conf": permission denied \(the daemon runs as/)
  const text = readFileSync(join(etc, 'mtpolicyd.conf'), 'utf8')
  const [refused] = await checkTextAsDaemon(paths, paths.config, text)
  t.match(refused?.message, 'permission denied (the daemon runs as univention-mtpolicyd)')
  chmodSync(piece, 0o640)
  chownSync(piece, 0, 4711)
  t.strictSame(await found(), [], 'a group that it is in is enough')

  mkdirSync(join(etc, 'plugins'), { mode: 0o700 })
  t.match(await found(), [/univention-mtpolicyd\/plugins:1:1: error: .*EACCES.*the daemon runs as/])
  rmSync(join(etc, 'plugins'), { recursive: true })

  const keys = join(etc, 'keys')
  writeFileSync(keys, 'a 1\n', { mode: 0o600 })
  writeFileSync(
    piece,
    `<VirtualHost 12346>\nname = maps\n<Plugin map>\nmodule = PostfixMap\n` +
      `db_file = "${keys}"\nmatch_action = reject\n</Plugin>\n</VirtualHost>\n`,
  )
  t.match(await found(), [/keys.*permission denied.*the daemon runs as/i])
  writeFileSync(piece, '# mine\n')

  const draft = join(root, 'draft.conf')
  writeFileSync(draft, `<<include ${piece}>>\nport = 12347\nunknown = 1\n`, { mode: 0o600 })
  const { notices, problems } = await checkAsDaemon(paths, draft)
  t.match(notices.map(formatNotice), [
    /draft\.conf: univention-mtpolicyd cannot read it where it is now/,
  ])
  t.match(
    problems.map(formatProblem).join(),
    /draft\.conf:3:1: warning: unknown option/,
    'root can',
  )
  chmodSync(piece, 0o600)
  const { problems: inner } = await checkAsDaemon(paths, draft)
  t.match(inner.map(formatProblem).join(), /own\.conf": permission denied \(the daemon runs as/)
  chmodSync(piece, 0o640)

  const registry = join(etc, 'registry/base.conf')
  mkdirSync(join(etc, 'registry'), { recursive: true })
  writeFileSync(registry, '# univention_ base.conf\n\nmtpolicyd/threshold: 1000', { mode: 0o600 })
  t.match(await found(), [/^W: EACCES.*base\.conf.*mtpolicyd\.conf is used as it is/])
  chmodSync(join(etc, 'registry'), 0o700)
  t.match(await found(), [/^W: EACCES.*base-defaults\.conf/])
  rmSync(join(etc, 'registry'), { recursive: true })

  mkdirSync(join(root, 'etc/default'))
  writeFileSync(join(root, 'etc/default/univention-mtpolicyd'), 'MTPOLICYD_DEBUG=3\n', {
    mode: 0o600,
  })
  t.match(await found(), [/default\/univention-mtpolicyd:1:1: error: cannot be read/])
  rmSync(join(root, 'etc/default'), { recursive: true })

  chmodSync(join(etc, 'mtpolicyd.conf'), 0o600)
  t.match(await found(), [/mtpolicyd\.conf:1:1: error: cannot be read: permission denied \(the/])
})

t.test('what is closed to the running daemon alone is said', { skip: asNobody }, async t => {
  const root = openFolder(t)
  const port = await freePort()
  const ctl = (...argv: string[]) => runProgram(join(dist, 'mtpolicyctl'), '--root', root, ...argv)
  await ctl('set', `mtpolicyd/port=${port}`)
  for (const place of ['var/lib', 'run']) {
    mkdirSync(join(root, place, 'univention-mtpolicyd'), { recursive: true })
    chownSync(join(root, place, 'univention-mtpolicyd'), NOBODY, NOBODY)
  }
  const daemon = ['--reuid', String(NOBODY), '--regid', String(NOBODY), '--clear-groups']
  const child = spawn('setpriv', [...daemon, join(dist, 'mtpolicyd'), '--root', root, '-f'])
  const end = ended(child)
  t.teardown(() => child.kill('SIGKILL'))
  await answers(port)
  await until(() => existsSync(join(root, 'run/univention-mtpolicyd/control.sock')))

  const database = join(root, 'country.mmdb')
  cpSync(join(dist, 'country.mmdb'), database)
  chmodSync(database, 0o600)
  const { status, stderr } = await ctl('set', `mtpolicyd/geoip/database=${database}`)
  t.equal(status, 0)
  t.match(stderr, /"geoip_database": .*EACCES.*\(reported by the running daemon\)/)
  child.kill('SIGTERM')
  await end
})

t.test('what is a link stays one, and only links of our own are followed', async t => {
  const root = openFolder(t)
  const ctl = (...argv: string[]) => runProgram(join(dist, 'mtpolicyctl'), '--root', root, ...argv)
  const etc = join(root, 'etc/univention-mtpolicyd')
  const checkout = join(root, 'checkout')
  mkdirSync(join(root, 'etc/systemd/system/univention-mtpolicyd.socket.d'), { recursive: true })
  mkdirSync(join(etc, 'registry'), { recursive: true })
  mkdirSync(checkout)
  const links = [
    'etc/univention-mtpolicyd/mtpolicyd.conf',
    'etc/univention-mtpolicyd/registry/base.conf',
    'etc/systemd/system/univention-mtpolicyd.socket.d/listen.conf',
  ].map(name => join(root, name))
  // They lead nowhere yet.
  for (const link of links) symlinkSync(join(checkout, basename(link)), link)
  for (const port of [12001, 12002]) {
    t.equal((await ctl('set', `mtpolicyd/port=${port}`)).status, 0)
    for (const link of links) {
      t.ok(lstatSync(link).isSymbolicLink(), link)
      const real = join(checkout, basename(link))
      t.match(readFileSync(real, 'utf8'), `${port}`, real)
      t.equal(lstatSync(real).mode & 0o777, 0o644)
    }
  }
  t.strictSame(readdirSync(checkout).toSorted(), ['base.conf', 'listen.conf', 'mtpolicyd.conf'])

  const conf = join(etc, 'mtpolicyd.conf')
  writeFileSync(conf, '# by hand\n')
  chmodSync(conf, 0o640)
  t.equal((await ctl('commit', '--force-template')).status, 0)
  t.equal(readFileSync(`${conf}.hand-written`, 'utf8'), '# by hand\n', 'is kept')
  t.equal(lstatSync(`${conf}.hand-written`).mode & 0o777, 0o640)
  t.match(readFileSync(join(checkout, 'mtpolicyd.conf'), 'utf8'), 'port = ')

  rmSync(conf)
  symlinkSync('mtpolicyd.conf', conf)
  t.match(await ctl('set', 'mtpolicyd/threshold=5'), { status: 1, stderr: /ELOOP|leads to itself/ })
  rmSync(conf)
  if (!isRoot) return
  writeFileSync(join(root, 'precious'), 'precious: 1\n\n\n')
  const base = join(etc, 'registry/base.conf')
  rmSync(base)
  symlinkSync(join(root, 'precious'), base)
  lchownSync(base, NOBODY, NOBODY)
  t.match(await ctl('set', 'mtpolicyd/threshold=5'), { status: 1, stderr: /is not followed/ })
  t.equal(readFileSync(join(root, 'precious'), 'utf8'), 'precious: 1\n\n\n')
})

t.test('an ordinary user changes nothing, and is told why', { skip: asNobody }, async t => {
  const root = openFolder(t)
  const port = await freePort()
  const ctl = (...argv: string[]) => runProgram(join(dist, 'mtpolicyctl'), '--root', root, ...argv)
  const theirs = (...argv: string[]): Promise<Finished> => {
    const who = ['--reuid', String(NOBODY), '--regid', String(NOBODY), '--clear-groups']
    return runProgram('setpriv', ...who, join(dist, 'mtpolicyctl'), '--root', root, ...argv)
  }
  // The history makes its files a second after the start.
  await ctl('set', `mtpolicyd/port=${port}`, 'mtpolicyd/history/days=0')
  const child = under('022', 'mtpolicyd', ['--root', root, '-f'])
  t.teardown(() => child.kill('SIGKILL'))
  await answers(port)
  const before = modesBelow(root)
  const conf = readFileSync(join(root, 'etc/univention-mtpolicyd/mtpolicyd.conf'), 'utf8')

  for (const argv of [['status'], ['reload'], ['ready']]) {
    const { status, stdout, stderr } = await theirs(...argv)
    t.equal(status, 1, argv.join(' '))
    const said = (stdout + stderr).replace(/\s+/g, ' ')
    t.match(said, /only root and the daemon itself may open \S*control\.sock/)
  }
  for (const argv of [
    ['set', 'mtpolicyd/threshold=999'],
    ['unset', 'mtpolicyd/port'],
    ['set', '--force', 'mtpolicyd/mode=observe'],
    ['commit', '--force-template'],
    ['update'],
  ]) {
    const { status, stderr } = await theirs(...argv)
    t.equal(status, 1, argv.join(' '))
    t.match(stderr, /permission denied/)
  }
  t.equal((await theirs('get', 'mtpolicyd/port')).stdout, `${port}\n`, 'he may look')

  // The daemon of this test has root's group.
  const member = ['--reuid', String(NOBODY), '--regid', String(NOBODY), '--groups', '0']
  const asMember = (command: string): Promise<Finished> =>
    runProgram('setpriv', ...member, join(dist, 'mtpolicyctl'), '--root', root, command)
  t.match((await asMember('status')).stdout, `127.0.0.1:${port}`, 'a member of its group may ask')
  const { status, stdout, stderr } = await asMember('reload')
  t.equal(status, 1, 'and change nothing')
  t.match(`${stdout}${stderr}`.replace(/\s+/g, ' '), /only root and the daemon itself may open/)
  t.strictSame(modesBelow(root), before)
  t.equal(readFileSync(join(root, 'etc/univention-mtpolicyd/mtpolicyd.conf'), 'utf8'), conf)
})

t.test('a link in the place of the pid file is not followed', async t => {
  const folder = t.testdir({ precious: 'precious\n' })
  const file = join(folder, 'pid')
  symlinkSync(join(folder, 'precious'), file)
  const { release } = claimPidFile(file)
  t.equal(readFileSync(join(folder, 'precious'), 'utf8'), 'precious\n')
  t.equal(readFileSync(file, 'utf8'), `${process.pid}\n`)
  t.ok(lstatSync(file).isFile())
  t.equal(lstatSync(file).mode & 0o022, 0)
  release()
  t.notOk(existsSync(file))

  symlinkSync(join(folder, 'nowhere'), file)
  claimPidFile(file).release()
  t.notOk(existsSync(join(folder, 'nowhere')), 'nothing was made at its other end')
  writeFileSync(file, '999999999\n')
  claimPidFile(file).release()
  writeFileSync(file, '1\n')
  claimPidFile(file).release()
  t.notOk(existsSync(file), 'after a crash its number may be any other process’s')
  t.throws(() => claimPidFile(folder), { code: 'EEXIST' }, 'a folder is no pid file')
  t.ok(existsSync(join(folder, 'precious')))
})

t.test('links beside the ledger and the staged files are not written through', async t => {
  const folder = t.testdir({ precious: 'precious\n' })
  const precious = join(folder, 'precious')
  const ledger = join(folder, 'state/ledger.sqlite')
  mkdirSync(join(folder, 'state'))
  symlinkSync(precious, `${ledger}.backup.new`)
  symlinkSync(precious, `${ledger}.backup`)
  const slot = ledgerSlot()
  slot.open(ledger, 'normal', Date.now())
  t.equal(slot.problem, undefined)
  await slot.backUp()
  slot.close()
  t.ok(lstatSync(`${ledger}.backup`).isFile())
  t.equal(readFileSync(precious, 'utf8'), 'precious\n')

  const root = openFolder(t)
  const ctl = (...argv: string[]) => runProgram(join(dist, 'mtpolicyctl'), '--root', root, ...argv)
  await ctl('set', 'mtpolicyd/threshold=5')
  const etc = join(root, 'etc/univention-mtpolicyd')
  for (const name of [
    '.mtpolicyd.conf.staged',
    'registry/base.conf.temp',
    'registry/base.conf.bak.temp',
  ]) {
    rmSync(join(etc, name), { force: true })
    symlinkSync(precious, join(etc, name))
  }
  await ctl('set', 'mtpolicyd/threshold=6')
  t.equal(readFileSync(precious, 'utf8'), 'precious\n')
  t.match(await ctl('get', 'mtpolicyd/threshold'), { stdout: '6\n' })
  t.match(readFileSync(join(etc, 'mtpolicyd.conf'), 'utf8'), 'threshold = 6')
  t.ok(lstatSync(join(etc, 'mtpolicyd.conf')).isFile())
})

t.test('a log file is made for its group at most, and what is in it stays', async t => {
  const root = t.testdir({ log: '' })
  rmSync(join(root, 'log'))
  const port = await freePort()
  const block = '<Plugin a>\nmodule = Action\naction = dunno\n</Plugin>'
  const conf = join(root, 'my.conf')
  writeFileSync(
    conf,
    `port = ${port}\nlog_file = "${join(root, 'log')}"\npid_file = "${join(root, 'pid')}"\n` +
      `<VirtualHost ${port}>\nname = v\n${block}\n</VirtualHost>\n`,
  )
  for (const times of [1, 2]) {
    const child = under('000', 'mtpolicyd', ['--root', root, '-f', '-c', conf])
    const end = ended(child)
    await answers(port)
    await until(() => existsSync(join(root, 'pid')))
    t.equal(lstatSync(join(root, 'log')).mode & 0o777, 0o640)
    t.equal(lstatSync(join(root, 'pid')).mode & 0o777, 0o644)
    child.kill('SIGTERM')
    await end
    const starts = readFileSync(join(root, 'log'), 'utf8').match(/Parent ready/g)
    t.equal(starts?.length, times)
  }
})

const PLUGIN = `export default api => api.definePlugin({ name: 'Good', summary: '.', settings: {},
  create: () => () => 'hold' })`

t.test('a plugin is not loaded from where others could exchange it', async t => {
  const base = t.testdir({ safe: { plugins: {} } })
  const plugins = join(base, 'safe/plugins')
  const file = join(plugins, 'good.mjs')
  writeFileSync(file, PLUGIN)
  const load = async () => {
    const { plugins: loaded, problems } = await loadOwnPlugins(plugins, [])
    return loaded.length > 0 ? 'loaded' : (problems[0]?.message ?? 'nothing')
  }
  t.equal(await load(), 'loaded')

  for (const path of [file, plugins, join(base, 'safe')]) {
    const { mode } = lstatSync(path)
    for (const open of [0o020, 0o002]) {
      chmodSync(path, mode | open)
      t.equal(
        await load(),
        `not loaded: ${path} is writable by users other than root and its owner`,
      )
    }
    chmodSync(path, mode)
  }

  // A link leads elsewhere.
  const elsewhere = join(base, 'elsewhere')
  mkdirSync(elsewhere)
  writeFileSync(join(elsewhere, 'real.mjs'), PLUGIN)
  rmSync(file)
  symlinkSync(join(elsewhere, 'real.mjs'), file)
  t.equal(await load(), 'loaded', 'a link is fine')
  chmodSync(elsewhere, 0o777)
  t.match(await load(), `not loaded: ${realpathSync(elsewhere)}`)
  chmodSync(elsewhere, 0o1777)
  t.equal(await load(), 'loaded', 'in a folder like /tmp nobody replaces what is ours')
  chmodSync(join(elsewhere, 'real.mjs'), 0o666)
  t.match(await load(), /^not loaded: .*real\.mjs/)
  rmSync(join(elsewhere, 'real.mjs'))
  t.match(await load(), /no such file/)
})
