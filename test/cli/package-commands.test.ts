/** What the package's own scripts call: country data, and whether the daemon can be asked. */

import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import t, { type Test } from 'tap'
import { geoipCommand } from '../../daemon/cli/geoip-command.ts'
import { readyCommand } from '../../daemon/cli/ready-command.ts'
import { readMmdbAtOnce } from '../../daemon/lookup/geoip-mmdb.ts'
import { pathsBelow } from '../../daemon/paths.ts'
import { writeMmdb } from '../../scripts/mmdb-writer.ts'
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
      geoipCommand(argv, {
        out: text => said.push(text),
        err: text => said.push(text),
        paths,
        reload: async () => {
          reloads++
        },
      }),
  }
}

t.test('newer country data is converted and used, older never preferred', async t => {
  const one = host(t, '2026-06-25')
  one.offer('2026-08-01')
  t.equal(await one.run('update'), 0)
  t.match(one.said(), 'data of 2026-08-01')
  const table = readMmdbAtOnce(readFileSync(one.own))
  t.equal(table.country('192.0.2.1'), 'FR')
  t.equal(table.builtAt?.toISOString().slice(0, 10), '2026-08-01')
  t.equal(one.reloads(), 1, 'another file comes first now')

  t.equal(await one.run('update'), 0)
  t.match(one.said(), 'is of 2026-08-01 already')
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

t.test('country data that cannot be read leaves what there is', async t => {
  const one = host(t, '2026-06-25')
  one.offer('2026-08-01')
  await one.run('update')
  const before = readFileSync(one.own)
  one.offer('2026-09-01', 'nonsense\n')
  t.equal(await one.run('update'), 1)
  t.match(one.said(), /geoip:\d+: expected FIRST,LAST,CC.*the data in use stays/)
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

t.test('ready: only our own daemon, answering where Postfix would ask, will do', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'ready-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const control = join(folder, 'control.sock')
  const port = await freePort()
  const said: string[] = []
  const ready = (...argv: string[]) =>
    readyCommand(argv, {
      err: text => said.push(text),
      control,
      endpoint: { host: 'localhost', port },
    })

  t.equal(await ready(), 1)
  t.match(said.join(''), /no answer from 127\.0\.0\.1:\d+: .*ECONNREFUSED/)
  t.equal(await ready('--wait', 'long'), 64)

  const stranger = saying('SMTP? Never heard of it.\n\n')
  await serve(t, port, stranger)
  t.equal(await ready(), 1)
  t.match(said.join(''), /does not answer policy requests/)
  await new Promise(resolve => stranger.close(resolve))

  await serve(t, port, saying('action=dunno\n\n'))
  t.equal(await ready(), 1)
  t.match(said.join(''), /belongs to another program/)

  await serve(t, control, saying('{"ok":true,"result":{}}\n'))
  t.equal(await ready(), 0)
})
