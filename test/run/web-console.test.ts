/** The console's thread, as the daemon starts, stops and loses it. */

import { execFileSync } from 'node:child_process'
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { silentLog } from '../../daemon/assembly/configuration.ts'
import { pathsBelow } from '../../daemon/assembly/paths.ts'
import { WebConsole } from '../../daemon/run/web-console.ts'
import type { WebSettings } from '../../daemon/run/web-messages.ts'
import { systemClock } from '../../daemon/system/clock.ts'
import { freePort } from '../support/free-port.ts'
import { post, session } from '../support/web-calls.ts'
import { exchange, parsed } from '../support/web-site.ts'

/** @param former its state is found. */
function consoleIn(t: Test, program?: string, former?: string) {
  const root = former ?? mkdtempSync(join(tmpdir(), 'web-console-'))
  t.teardown(() => rmSync(root, { recursive: true, force: true }))
  const paths = pathsBelow(root)
  mkdirSync(paths.state, { recursive: true })
  const lines: string[] = []
  const write = (line: string): void => void lines.push(line)
  const log = { ...silentLog, error: write, warning: write, notice: write, event: write }
  const web = new WebConsole({
    paths,
    clock: systemClock,
    log: () => log,
    ...(program === undefined ? {} : { program }),
  })
  t.teardown(() => web.close())
  return { web, lines, root }
}

const settingsAt = (port: number, host = 'localhost'): WebSettings => {
  return { port, host, path: '', names: [] }
}

async function until(isSo: () => boolean): Promise<void> {
  for (let tries = 0; tries < 3000 && !isSo(); tries++) await sleep(10)
}

const status = async (port: number): Promise<number> =>
  parsed(await exchange(port, 'GET /api/session HTTP/1.0\r\nhost: localhost\r\n\r\n')).status

t.test('it runs while a configuration wants it, where that says', async t => {
  const { web } = consoleIn(t)
  t.strictSame(web.status(), { state: 'off', address: '' })
  await t.rejects(web.ask<'tokens'>({ what: 'tokens' }), /mtpolicyctl web on/)
  const [first, second] = [await freePort(), await freePort()]
  web.use(settingsAt(first))
  const link = await web.ask<'login'>({ what: 'login', role: 'change', by: 'root' })
  t.match(link, { url: new RegExp(`^http://localhost:${first}/#login=[\\w-]{43}$`), minutes: 10 })
  t.equal(await status(first), 401)
  t.strictSame(web.status(), { state: 'listening', address: `http://localhost:${first}` })
  web.use(settingsAt(second))
  await web.ask<'login'>({ what: 'login', role: 'read', by: 'root' })
  t.equal(await status(second), 401)
  await t.rejects(status(first), /ECONNREFUSED/)
  // The same settings again: nothing happens to who is connected.
  web.use(settingsAt(second))
  t.equal(web.status().state, 'listening')
  await web.close()
  await t.rejects(status(second), /ECONNREFUSED/)
})

t.test(
  'a port that is taken, an address that is not here: the message says what to do',
  async t => {
    const { web, lines } = consoleIn(t)
    const port = await freePort()
    const owner = createServer()
    await new Promise<void>(resolve => owner.listen(port, '127.0.0.1', resolve))
    t.teardown(() => owner.close())
    const login = () => web.ask<'login'>({ what: 'login', role: 'change', by: 'root' })
    web.use(settingsAt(port))
    await t.rejects(
      login(),
      new RegExp(`127.0.0.1:${port} is in use by .*mtpolicyctl set mtpolicyd/web/port=\\d+`),
    )
    t.match(web.status(), { state: 'failed', problem: /in use/ })
    t.match(lines.join('\n'), /no web console: 127.0.0.1:/)
    web.use(settingsAt(port, '192.0.2.1'))
    await t.rejects(login(), /does not have the address 192.0.2.1.*web\/host=localhost/)
    web.use(settingsAt(port, 'no-such-name.invalid'))
    await t.rejects(login(), /the name no-such-name.invalid has no address/)
    web.use(settingsAt(port, '/nowhere/at/all/web.sock'))
    await t.rejects(login(), /cannot listen at \/nowhere.*\/run\/univention-mtpolicyd/)
  },
)

t.test('a unix socket: one that was left is replaced, nothing else is', async t => {
  const { web, root } = consoleIn(t)
  const path = join(root, 'web.sock')
  const login = () => web.ask<'login'>({ what: 'login', role: 'change', by: 'root' })
  writeFileSync(path, 'a file')
  web.use(settingsAt(1, path))
  await t.rejects(login(), /exists and is not a socket/)
  rmSync(path)
  web.use({ ...settingsAt(1, path), names: ['console.example.org'], path: '/mail' })
  t.match(await login(), { url: /^https:\/\/console.example.org\/mail\/#login=/ })
  const other = consoleIn(t)
  other.web.use(settingsAt(2, path))
  await t.rejects(
    other.web.ask<'login'>({ what: 'login', role: 'change', by: 'root' }),
    /another program listens/,
  )
})

t.test('a thread that ends is started again; the daemon goes on', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'web-broken-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const program = join(folder, 'broken.mjs')
  const mark = join(folder, 'repaired')
  writeFileSync(
    program,
    `import { existsSync } from 'node:fs'
     import { parentPort } from 'node:worker_threads'
     if (!existsSync(${JSON.stringify(mark)})) throw new Error('out of order')
     parentPort.postMessage({ kind: 'state', address: 'here', problem: undefined })
     parentPort.on('message', ({ kind }) => { if (kind === 'close') process.exit() })`,
  )
  const { web, lines } = consoleIn(t, program)
  web.use(settingsAt(1))
  await t.rejects(web.ask<'tokens'>({ what: 'tokens' }), /web console failed: out of order/)
  t.match(web.status(), { state: 'failed', problem: /its thread has ended: out of order/ })
  t.match(lines.join('\n'), /the web console has failed, and is started again: out of order/)
  writeFileSync(mark, '')
  await until(() => web.status().state === 'listening')
  t.strictSame(web.status(), { state: 'listening', address: 'here' })
})

t.test(
  'a thread that cannot be started, as where no more are allowed: the daemon goes on',
  async t => {
    // Not a path: it fails where it is made, as it does with too many threads (EAGAIN).
    const { web, lines } = consoleIn(t, 'no-path')
    web.use(settingsAt(1))
    await t.rejects(web.ask<'tokens'>({ what: 'tokens' }), /web console cannot be read now/)
    t.match(web.status(), { state: 'failed', problem: /its thread has ended: / })
    t.match(lines.join('\n'), /the web console has failed, and is started again: /)
    // It is tried again by itself after a second, where nobody would catch what it throws.
    await sleep(1500)
    t.equal(web.status().state, 'failed')
    await web.close()
  },
)

t.test('switched off, it ends all logins; a restart of the daemon does not', async t => {
  const { web, root } = consoleIn(t)
  const port = await freePort()
  const logIn = async (): Promise<string> => {
    const { url } = await web.ask<'login'>({ what: 'login', role: 'change', by: 'root' })
    const login = await post(url, '/api/login', { token: url.split('#login=')[1] })
    return login.headers.get('set-cookie')?.split(';')[0] ?? ''
  }
  const statusOf = async (cookie: string): Promise<number> => {
    await web.ask<'tokens'>({ what: 'tokens' })
    await web.ask<'login'>({ what: 'login', role: 'read', by: 'root' })
    return (await session(`http://localhost:${port}`, cookie)).status
  }
  web.use(settingsAt(port))
  const cookie = await logIn()
  const { secret } = await web.ask<'token add'>({ what: 'token add', name: 'bob', role: 'read' })
  t.equal(await statusOf(cookie), 200)
  web.use({ ...settingsAt(port), names: ['console.example.org'] })
  t.equal(await statusOf(cookie), 200, 'other settings log nobody out')
  web.use(undefined)
  web.use(settingsAt(port))
  t.equal(await statusOf(cookie), 401, 'off and on again')
  t.equal((await post(`http://localhost:${port}`, '/api/login', { token: secret })).status, 200)

  const later = await logIn()
  await web.close()
  const { web: next } = consoleIn(t, undefined, root)
  next.use(settingsAt(port))
  await next.ask<'login'>({ what: 'login', role: 'read', by: 'root' })
  t.equal((await session(`http://localhost:${port}`, later)).status, 200, 'after a restart')
  await next.close()
  // Switched off while the daemon did not run.
  const { web: off } = consoleIn(t, undefined, root)
  off.use(undefined)
  off.use(settingsAt(port))
  await off.ask<'login'>({ what: 'login', role: 'read', by: 'root' })
  t.equal((await session(`http://localhost:${port}`, later)).status, 401)
})

t.test('a thread that hangs in the system, as at a dead file server, holds up no end', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'web-hangs-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const pipe = join(folder, 'pipe')
  execFileSync('mkfifo', [pipe])
  const program = join(folder, 'hangs.mjs')
  writeFileSync(
    program,
    `import { readFileSync } from 'node:fs'
     import { parentPort } from 'node:worker_threads'
     parentPort.postMessage({ kind: 'state', address: 'here', problem: undefined })
     setTimeout(() => readFileSync(${JSON.stringify(pipe)}), 100)`,
  )
  const { web } = consoleIn(t, program)
  web.use(settingsAt(1))
  await until(() => web.status().state === 'listening')
  await sleep(300)
  const before = Date.now()
  await Promise.race([web.close(), sleep(15_000)])
  t.ok(Date.now() - before < 10_000, `${Date.now() - before} ms`)
  // So that this process can end.
  closeSync(openSync(pipe, 'w'))
})
