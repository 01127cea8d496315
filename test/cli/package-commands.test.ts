/** What the package's own scripts call: country data, and whether the daemon can be asked. */

import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import t, { type Test } from 'tap'
import { pathsBelow } from '../../daemon/assembly/paths.ts'
import { daemonClient } from '../../daemon/cli/daemon-client.ts'
import { readMmdbAtOnce } from '../../daemon/lookup/geoip-mmdb.ts'
import { writeMmdb } from '../../daemon/lookup/mmdb-writer.ts'
import { runCommand } from '../support/command.ts'
import { freePort } from '../support/daemon.ts'

const DE = { first: '192.0.2.0', last: '192.0.2.255', code: 'DE' }

/** A host whose program comes with data of this day. */
function host(t: Test, builtIn: string) {
  const root = mkdtempSync(join(tmpdir(), 'package-'))
  t.teardown(() => rmSync(root, { recursive: true, force: true }))
  const shipped = join(root, 'shipped.mmdb')
  writeFileSync(shipped, writeMmdb([DE], { builtAt: new Date(builtIn) }))
  const paths = { ...pathsBelow(root), countries: [join(root, 'own/country.mmdb'), shipped] }
  mkdirSync(join(root, 'own'))
  const said: string[] = []
  let reloads = 0
  return {
    own: join(root, 'own/country.mmdb'),
    said: () => said.splice(0).join(''),
    reloads: () => reloads,
    /** tor-geoipdb's files of a day; undefined: it is not installed. */
    offer(day: string | undefined, lines = '3221225984,3221226239,FR\n') {
      const folder = join(root, 'usr/share/tor')
      rmSync(folder, { recursive: true, force: true })
      if (day === undefined) return
      mkdirSync(folder, { recursive: true })
      const head = `# Generated: ${new Date(day).toUTCString()}\n# Vendor: nobody\n# License: none\n`
      writeFileSync(join(folder, 'geoip'), head + lines)
      writeFileSync(join(folder, 'geoip6'), `${head}2001:db8::,2001:db8::ff,FR\n`)
    },
    run: (...argv: string[]) =>
      runCommand(['geoip', ...argv], {
        root,
        out: text => said.push(text),
        err: text => said.push(text),
        paths,
        daemon: {
          status: async () => 'not running',
          async reload() {
            reloads++
            return undefined
          },
          explain: async () => undefined,
          watch() {
            throw new Error('not running')
          },
          hours() {
            throw new Error('not running')
          },
        },
      }),
  }
}

t.test('newer country data is converted and used, older never preferred', async t => {
  const one = host(t, '2026-06-25')
  one.offer('2026-08-01')
  t.equal(await one.run('update'), 0)
  t.match(one.said(), 'data from 2026-08-01')
  const table = readMmdbAtOnce(readFileSync(one.own))
  t.equal(table.country('192.0.2.1'), 'FR')
  t.equal(table.builtAt?.toISOString().slice(0, 10), '2026-08-01')
  t.equal(one.reloads(), 1, 'another file comes first now')

  t.equal(await one.run('update'), 0)
  t.match(one.said(), 'already has the data from 2026-08-01')
  one.offer('2026-09-01')
  t.equal(await one.run('update'), 0)
  t.equal(one.reloads(), 1, 'the daemon sees by itself that its file has changed')

  t.test('also when the package of the data goes', async t => {
    one.offer(undefined)
    t.equal(await one.run('update'), 0)
    t.ok(existsSync(one.own))
  })
  t.test('until the program comes with newer data', async t => {
    writeFileSync(
      join(dirname(dirname(one.own)), 'shipped.mmdb'),
      writeMmdb([DE], { builtAt: new Date('2026-10-01') }),
    )
    t.equal(await one.run('update'), 0)
    t.notOk(existsSync(one.own))
    t.equal(one.reloads(), 2)
  })
  t.test('and then older data does not come back', async t => {
    one.offer('2026-09-01')
    t.equal(await one.run('update'), 0)
    t.notOk(existsSync(one.own))
    t.match(one.said(), 'is used')
  })
})

t.test('country data is for the daemon to read, whatever root’s umask is', async t => {
  const one = host(t, '2026-06-25')
  one.offer('2026-08-01')
  const before = process.umask(0o077)
  t.teardown(() => process.umask(before))
  t.equal(await one.run('update'), 0)
  t.equal(statSync(one.own).mode & 0o777, 0o644)
  chmodSync(one.own, 0o600)
  t.equal(await one.run('update'), 0, 'also where one of before is not')
  t.equal(statSync(one.own).mode & 0o777, 0o644)
})

t.test('country data that cannot be read leaves what there is', async t => {
  const one = host(t, '2026-06-25')
  one.offer('2026-08-01')
  await one.run('update')
  const before = readFileSync(one.own)
  one.offer('2026-09-01', 'nonsense\n')
  t.equal(await one.run('update'), 1)
  t.match(one.said(), /geoip:\d+: expected FIRST,LAST,CC.*the data in use is kept/)
  t.same(readFileSync(one.own), before)
  t.equal(await one.run('upgrade'), 64)
})

/** Closed with the test. */
async function serve(t: Test, at: number | string, server: Server): Promise<void> {
  t.teardown(() => server.close())
  await new Promise<void>(resolve => {
    if (typeof at === 'string') server.listen(at, resolve)
    else server.listen(at, '127.0.0.1', resolve)
  })
}

/** Whoever connects hears this, whatever he asks. */
const saying = (text: string): Server =>
  createServer(socket => {
    socket.on('error', () => socket.destroy())
    socket.on('data', () => socket.end(text))
  })

/** `mtpolicyctl ready` on a host whose daemon should listen there. */
const readyAt =
  (port: number, control: string, said: string[]) =>
  (...argv: string[]) =>
    runCommand(['ready', ...argv], {
      root: dirname(control),
      out: text => said.push(text),
      err: text => said.push(text),
      daemon: daemonClient(control),
      postfix: () => ({
        run: async () => ({ status: 127, stdout: '', stderr: '' }),
        endpoint: { host: 'localhost', port },
        stateFile: '/nonexistent',
      }),
    })

t.test('ready: only our own daemon, answering where Postfix would ask, will do', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'ready-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const control = join(folder, 'control.sock')
  const port = await freePort()
  const said: string[] = []
  const ready = readyAt(port, control, said)

  t.equal(await ready(), 1)
  t.match(said.join(''), /no answer from 127\.0\.0\.1:\d+, nothing listens there: .*ECONNREFUSED/)
  t.equal(await ready('--wait', 'long'), 64)

  const stranger = saying('SMTP? Never heard of it.\n\n')
  await serve(t, port, stranger)
  t.equal(await ready(), 1)
  t.match(
    said.join(''),
    /belongs to \S+ \(process \d+.*a free port: mtpolicyctl set mtpolicyd\/port=\d+/,
  )
  await new Promise(resolve => stranger.close(resolve))

  await serve(t, port, saying('action=dunno\n\n'))
  t.equal(await ready(), 1)
  t.match(said.join(''), /belongs to \S+ \(process \d+/)

  await serve(t, control, saying('{"ok":true,"result":{}}\n'))
  t.equal(await ready(), 0)
  said.splice(0)
  t.equal(await ready('--json'), 0)
  t.strictSame(JSON.parse(said.join('')), { ok: true })
})

t.test(
  "ready: a port that is somebody else's at ::1 alone is named, and not waited for",
  async t => {
    const port = await freePort()
    const said: string[] = []
    const other = createServer()
    t.teardown(() => other.close())
    await new Promise<void>(resolve => other.listen({ port, host: '::1' }, resolve))
    const began = Date.now()
    const ready = readyAt(port, join(tmpdir(), 'no-such-socket'), said)
    const status = await ready('--wait', '30')
    t.equal(status, 1)
    t.match(
      said.join(''),
      new RegExp(`\\[::1\\]:${port} belongs to \\S+ \\(process ${process.pid}`),
    )
    t.ok(Date.now() - began < 15_000)
  },
)
