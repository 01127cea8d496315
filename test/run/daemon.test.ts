/** The process as a whole: what a start or a reload does, and what it leaves behind when it fails. */

import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { type Paths, pathsBelow } from '../../daemon/assembly/paths.ts'
import { callDaemon, followDaemon } from '../../daemon/control/client.ts'
import { Daemon } from '../../daemon/run/daemon.ts'
import { type DaemonOptions, STEPS, type Step } from '../../daemon/run/daemon-options.ts'
import type { Supervisor } from '../../daemon/run/supervisor.ts'
import { freePort } from '../support/free-port.ts'
import { type VirtualClock, virtualClock } from '../support/virtual-clock.ts'

/** A folder of its own, with a configuration that tests rewrite. */
interface Place {
  readonly root: string
  readonly paths: Paths
  readonly file: string
  readonly clock: VirtualClock
  /** What was sent to systemd. */
  readonly told: string[]
  readonly port: number
  /** The file that is standard error here. */
  readonly stderr: string
  configure(what: Configuration): void
  options(more?: Partial<DaemonOptions>): DaemonOptions
  start(more?: Partial<DaemonOptions>): Promise<Daemon>
}

interface Configuration {
  readonly globals?: string
  readonly ports?: readonly number[]
  readonly action?: string
  readonly plugins?: string
}

async function makePlace(t: Test): Promise<Place> {
  const root = mkdtempSync(join(tmpdir(), 'daemon-'))
  t.teardown(() => rmSync(root, { recursive: true, force: true }))
  const paths = pathsBelow(root)
  const file = join(root, 'mtpolicyd.conf')
  const logFile = join(root, 'stderr')
  const stderr = openSync(logFile, 'a')
  const clock = virtualClock()
  const port = await freePort()
  const told: string[] = []
  mkdirSync(paths.state, { recursive: true })
  const supervisor: Supervisor = {
    isPresent: false,
    sockets: [],
    ready: status => void told.push(status),
    reloading: () => void told.push('reloading'),
    stopping: () => void told.push('stopping'),
  }
  const place: Place = {
    root,
    paths,
    file,
    clock,
    told,
    port,
    stderr: logFile,
    configure({ globals = '', ports = [port], action = 'dunno', plugins = '' }) {
      const at = ports.map(one => `127.0.0.1:${one}`).join(',')
      const hosts = ports.map(
        one =>
          `<VirtualHost ${one}>\nname = v${one}\n${plugins}\n` +
          `<Plugin a>\nmodule = Action\naction = "${action}"\n</Plugin>\n</VirtualHost>\n`,
      )
      // Its timers are not what these tests are about (mail-log.test.ts).
      writeFileSync(file, `port = "${at}"\n${globals}\n${hosts.join('')}maillog = none\n`)
    },
    options: more => ({
      paths,
      source: () => ({ file, text: undefined, origin: 'file', notices: [] }),
      debug: undefined,
      priorities: false,
      control: true,
      supervisor,
      clock,
      stderr,
      ...more,
    }),
    async start(more) {
      const daemon = await turning(clock, Daemon.start(place.options(more)))
      t.teardown(() => turning(clock, daemon.stop(100)))
      return daemon
    },
  }
  return place
}

/** Lets time pass until the work is done. */
async function turning<T>(clock: VirtualClock, work: Promise<T>): Promise<T> {
  let isDone = false
  const done = (): void => {
    isDone = true
  }
  work.then(done, done)
  while (!isDone) await clock.advance(1)
  return work
}

/** A connection that stays open, and asks one thing after the other. */
async function openConnection(t: Test, port: number): Promise<(more?: string) => Promise<string>> {
  const socket: Socket = connect(port, '127.0.0.1')
  t.teardown(() => socket.destroy())
  await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject))
  return (more = '') =>
    new Promise((resolve, reject) => {
      socket.once('data', bytes => resolve(bytes.toString().trim()))
      socket.once('error', reject)
      socket.write(`request=smtpd_access_policy\nprotocol_state=RCPT\ninstance=1.2\n${more}\n`)
    })
}

async function ask(t: Test, port: number): Promise<string> {
  const question = await openConnection(t, port)
  return question()
}

const isOpen = (port: number): Promise<boolean> =>
  new Promise(resolve => {
    const probe = connect(port, '127.0.0.1')
    probe.once('connect', () => {
      probe.destroy()
      resolve(true)
    })
    probe.once('error', () => resolve(false))
  })

/** What this process has open: files by name, listening sockets by their number. */
function descriptors(): string[] {
  return readdirSync('/proc/self/fd')
    .flatMap(fd => {
      try {
        return [readlinkSync(`/proc/self/fd/${fd}`)]
      } catch {
        return []
      }
    })
    .filter(name => !/^(?:pipe|anon_inode|socket):|^\/proc\//.test(name))
    .toSorted()
}

const COUNTING = `
<Plugin limit>
  module = SendingLimit
  threshold = 100
</Plugin>`

/** Lines are written some milliseconds later, in real time. */
async function hasLine(file: string, line: RegExp): Promise<boolean> {
  for (let tries = 0; tries < 2000; tries++) {
    if (line.test(readFileSync(file, 'utf8'))) return true
    await sleep(10)
  }
  return false
}

class Failed extends Error {}

/** Fails at this step, once it is reached. */
const failing = (at: { step: Step | undefined }) => ({
  reached(step: Step): void {
    if (step === at.step) throw new Failed(`failed after: ${step}`)
  },
})

for (const step of STEPS) {
  t.test(`a reload that fails after "${step}" leaves everything as it was`, async t => {
    const place = await makePlace(t)
    const { root, port, clock } = place
    const next = await freePort()
    place.configure({
      globals: `log_file = ${root}/one\npid_file = ${root}/one.pid\ndurability = normal`,
      plugins: COUNTING,
    })
    const at: { step: Step | undefined } = { step: undefined }
    const daemon = await place.start(failing(at))
    const question = await openConnection(t, port)
    t.equal(await question(), 'action=dunno')
    await clock.advance(10)
    const before = { status: await daemon.status(), open: descriptors(), pending: clock.pending }

    at.step = step
    place.configure({
      globals: `log_file = ${root}/two\npid_file = ${root}/two.pid\ndurability = full\nmode = observe`,
      ports: [next],
      action: 'reject',
      plugins: COUNTING,
    })
    await t.rejects(daemon.reload(), { message: `failed after: ${step}` })
    await clock.advance(10)

    const { requests: _, meters: __, ...status } = await daemon.status()
    t.match(before.status, status, 'endpoints, ledger, durability, mode, counters')
    t.strictSame(descriptors(), before.open, 'no file is open that was not before')
    t.equal(clock.pending, before.pending, 'no timer is left')
    t.equal(await question(), 'action=dunno', 'the open connection')
    t.equal(await ask(t, port), 'action=dunno', 'a new one')
    t.notOk(await isOpen(next), 'the new port is closed')
    t.equal(readFileSync(join(root, 'one.pid'), 'utf8'), `${process.pid}\n`)
    t.notOk(existsSync(join(root, 'two.pid')))
    t.ok(await hasLine(join(root, 'one'), /reload refused, the old configuration stays/))
    const two = join(root, 'two')
    t.equal(existsSync(two) ? readFileSync(two, 'utf8') : '', '', 'nothing went to the new log')
    t.match(await callDaemon(place.paths.control, 'status', {}), { ok: true })
    t.match(place.told.at(-1), `answering at 127.0.0.1:${port}`)

    at.step = undefined
    t.strictSame(await daemon.reload(), [], 'the next reload succeeds')
    t.equal(await ask(t, next), 'action=dunno', 'observing')
    t.equal((await daemon.status()).store.durability, 'full')
  })

  t.test(`a start that fails after "${step}" leaves nothing behind`, async t => {
    const place = await makePlace(t)
    const { root, port, clock, paths } = place
    place.configure({
      globals: `log_file = ${root}/one\npid_file = ${root}/one.pid`,
      plugins: COUNTING,
    })
    const open = descriptors()
    const starting = Daemon.start(place.options(failing({ step })))
    await t.rejects(turning(clock, starting), { message: `failed after: ${step}` })
    await clock.advance(10)
    t.strictSame(descriptors(), open)
    t.equal(clock.pending, 0)
    t.notOk(await isOpen(port))
    t.notOk(existsSync(join(root, 'one.pid')))
    t.notOk(existsSync(paths.control))
    t.strictSame(place.told, [])
    const daemon = await place.start()
    t.equal((await daemon.status()).store.state, 'ok', 'the next start finds nothing in its way')
  })
}

t.test('a reload is refused, with nothing changed, where something real is in its way', async t => {
  const place = await makePlace(t)
  const { root, port } = place
  place.configure({ globals: `pid_file = ${root}/one.pid` })
  const daemon = await place.start()
  const taken = await freePort()
  const busy = createServer()
  await new Promise<void>(resolve => busy.listen(taken, '127.0.0.1', resolve))
  t.teardown(() => busy.close())
  mkdirSync(join(root, 'folder'))
  for (const [why, globals, ports] of [
    [/in use by/, '', [port, taken]],
    [/EISDIR/, `log_file = ${root}/folder`, [port]],
    [/EEXIST|EISDIR/, `pid_file = ${root}/folder`, [port]],
    [/expected PORT/, '', [0]],
  ] as const) {
    place.configure({ globals, ports, action: 'reject' })
    await t.rejects(daemon.reload(), { message: why })
    t.equal(await ask(t, port), 'action=dunno')
    t.ok(existsSync(join(root, 'one.pid')))
  }
})

t.test('a client that connects before the configuration is in force is served by it', async t => {
  const place = await makePlace(t)
  const { port } = place
  const next = await freePort()
  const answers: Promise<string>[] = []
  let where = port
  place.configure({})
  const daemon = await place.start({
    async reached(step) {
      if (step !== 'listeners') return
      answers.push(ask(t, where))
      await sleep(50)
    },
  })
  t.equal(await answers[0], 'action=dunno', 'at the start')
  where = next
  place.configure({ ports: [next], action: 'reject' })
  await daemon.reload()
  t.equal(await answers[1], 'action=reject', 'at a reload, on a new port')
})

t.test('the process id file follows the configuration', async t => {
  const place = await makePlace(t)
  const { root } = place
  const has = () => ['one', 'two'].filter(name => existsSync(join(root, name)))
  place.configure({})
  const daemon = await place.start()
  t.strictSame(has(), [])
  for (const [globals, expected] of [
    [`pid_file = ${root}/one`, ['one']],
    [`pid_file = ${root}/one`, ['one']],
    [`pid_file = ${root}/two`, ['two']],
    [`pid_file = ${root}/./two`, ['two']],
    ['', []],
  ] as const) {
    place.configure({ globals })
    await daemon.reload()
    t.strictSame(has(), expected, globals)
  }
})

/** A plugin that answers when the test says so. */
const SLOW = `
export default ({ definePlugin }) => definePlugin({
  name: 'Slow', summary: 'Waits.', settings: {},
  create: () => () => new Promise(resolve => { globalThis.releaseSlow = () => resolve(undefined) }),
})`

for (const isAnswered of [true, false]) {
  const when = isAnswered ? 'its last request has ended' : 'its last request has had its time'
  t.test(`the old configuration is closed when ${when}`, async t => {
    const place = await makePlace(t)
    const { paths, port, clock } = place
    mkdirSync(paths.plugins, { recursive: true })
    writeFileSync(join(paths.plugins, 'slow.mjs'), SLOW)
    const slow = '<Plugin slow>\nmodule = Slow\n</Plugin>'
    place.configure({ globals: 'request_timeout = 40', plugins: slow })
    const daemon = await place.start()
    const { pending } = clock
    const question = await openConnection(t, port)
    Reflect.deleteProperty(globalThis, 'releaseSlow')
    const answer = question()
    while (!Reflect.has(globalThis, 'releaseSlow')) await clock.advance(0)

    place.configure({ action: 'reject' })
    await daemon.reload()
    t.equal(await ask(t, port), 'action=reject', 'the new configuration answers')
    await clock.advance(30_000)
    t.ok(clock.pending > pending, 'after half a minute the request still has its configuration')
    if (isAnswered) {
      Reflect.get(globalThis, 'releaseSlow')()
      t.equal(await answer, 'action=dunno')
    } else {
      answer.catch(() => undefined)
      await clock.advance(10_100)
    }
    await clock.advance(1000)
    t.equal(clock.pending, pending, 'it is closed, and no timer is left')
    Reflect.get(globalThis, 'releaseSlow')()
  })
}

t.test('reloads follow each other, and none comes after a stop', async t => {
  const place = await makePlace(t)
  const { port, clock } = place
  place.configure({})
  const gate = Promise.withResolvers<void>()
  let isHeld = false
  const daemon = await place.start({
    reached: step => (isHeld && step === 'ledger' ? gate.promise : undefined),
  })
  isHeld = true
  place.configure({ action: 'reject' })
  const [first, second] = [daemon.reload(), daemon.reload()]
  for (const one of [first, second]) one.catch(() => undefined)
  await clock.advance(10)
  const stopping = daemon.stop(1000)
  gate.resolve()
  await t.rejects(first, { message: 'the daemon is stopping' })
  await t.rejects(second, { message: 'the daemon is stopping' })
  await turning(clock, stopping)
  t.notOk(await isOpen(port), 'it does not listen again')
  t.equal(place.told.at(-1), 'stopping')
})

t.test('verdicts can be watched over the control socket, with a filter', async t => {
  const place = await makePlace(t)
  const { port, paths } = place
  place.configure({ action: 'reject no' })
  await place.start()
  const controller = new AbortController()
  const watching = followDaemon(paths.control, 'watch', { user: 'eve' }, controller.signal)
  const next = watching.next()
  // The socket has to be connected; until then nobody is told anything.
  const question = await openConnection(t, port)
  let first: Awaited<typeof next> | undefined
  void next.then(item => {
    first = item
  })
  while (first === undefined) {
    for (const user of ['bob', 'eve']) await question(`sasl_username=${user}\n`)
    await sleep(5)
  }
  t.match(first, { done: false, value: { user: 'eve', verdict: 'reject no', by: 'a' } })
  controller.abort()
  t.match(await watching.next(), { done: true })
})

t.test('the log shows each notice with its own severity, once', async t => {
  const place = await makePlace(t)
  const { file } = place
  place.configure({ globals: 'surprise = 1\nmode = perhaps' })
  await place.start({
    source: () => ({
      file,
      text: undefined,
      origin: 'file',
      notices: [
        { severity: 'warning', message: 'a warning: kept as it is' },
        { severity: 'error', message: 'an error: kept as it is' },
      ],
    }),
  })
  await hasLine(place.stderr, /Parent ready/)
  const log = readFileSync(place.stderr, 'utf8')
  t.match(log, /Z warning: a warning: kept as it is$/m)
  t.match(log, /Z error: an error: kept as it is$/m)
  t.match(log, /Z warning: \S+mtpolicyd\.conf:2:1: unknown option "surprise"/)
  t.match(log, /Z error: \S+mtpolicyd\.conf:3:\d+: "mode"/)
})
