/**
 * What comes from the network, at its worst, against the real program with its default policy:
 * whoever sends it may lose his own connection; everybody else is answered, and the log says why.
 */

import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import {
  dist,
  freePort,
  type InstalledDaemon,
  installDaemon,
  runProgram,
} from '../support/daemon.ts'
import { type PolicyClient, policyClient, requestText, until } from '../support/policy-client.ts'

const ENDLESS = 3

const daemon = await installDaemon({
  'mtpolicyd/debug': '3',
  'mtpolicyd/threshold': String(ENDLESS),
})
await daemon.start()
t.teardown(() => daemon.remove())

const recorded = readFileSync(
  join(import.meta.dirname, '../fixtures/postfix-requests/c1-auth-eod.txt'),
  'utf8',
)

/** The recorded request with other values, as another message. */
let messages = 0
function message(values: Readonly<Record<string, string>> = {}): string {
  const attributes = Object.fromEntries(
    recorded
      .trimEnd()
      .split('\n')
      .map(line => line.split(/=(.*)/s, 2)),
  )
  const instance = `bad.${messages++}.0`
  return requestText({ ...attributes, recipient_count: '1', instance, ...values })
}

async function open(t: Test, to: InstalledDaemon = daemon): Promise<PolicyClient> {
  const client = await policyClient({ port: to.port })
  t.teardown(client.close)
  return client
}

/** A neighbour who has asked before and asks again: the connection must have lived through it all. */
const neighbour = await policyClient({ port: daemon.port })
t.teardown(neighbour.close)
async function isWell(t: Test): Promise<void> {
  neighbour.send(message({ sasl_username: '' }))
  t.equal(await neighbour.answer(), 'action=dunno', 'the neighbour is answered')
  t.equal(daemon.pid === undefined, false)
}

/** Sends messages until one is refused; how many were accepted. */
async function acceptedOf(client: PolicyClient, request: () => string): Promise<number> {
  for (let accepted = 0; accepted < 10; accepted++) {
    client.send(request())
    const answer = await client.answer()
    if (answer.startsWith('action=reject 5.7.1 Daily limit of 3 recipients reached'))
      return accepted
    if (answer !== 'action=dunno') throw new Error(answer)
  }
  return 10
}

t.test('garbage costs its sender the connection', async t => {
  for (const garbage of [
    'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n',
    Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x0a, 0x0a]),
    'EHLO example.org\r\n\r\n',
  ]) {
    const bad = await open(t)
    bad.send(garbage)
    await bad.ended
    await t.rejects(bad.answer(), { message: /ended after ""/ })
  }
  await isWell(t)
  await until(() => /not the policy delegation protocol/.test(daemon.log()))
})

t.test('a line of 10 MB costs its sender the connection, and us no memory', async t => {
  const before = memoryKilobytes()
  for (let i = 0; i < 10; i++) {
    const bad = await open(t)
    bad.send(`sender=${'x'.repeat(10 * 1024 * 1024)}\n\n`)
    await bad.ended
  }
  await isWell(t)
  await until(() => /line longer than \d+ bytes/.test(daemon.log()))
  const grown = memoryKilobytes() - before
  t.ok(grown < 60 * 1024, `100 MB of it, ${grown} KiB more memory`)
})

t.test('requests that never end are cut off', async t => {
  const bad = await open(t)
  bad.send(`a=${'x'.repeat(1000)}\n`.repeat(2000))
  await bad.ended
  await isWell(t)
  await until(() => /request larger than \d+ bytes/.test(daemon.log()))
})

function memoryKilobytes(): number {
  const status = readFileSync(`/proc/${daemon.pid}/status`, 'utf8')
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1])
}

t.test('a request cut at any byte is answered like the whole one', async t => {
  const request = message({ sasl_username: '', helo_name: 'grüße.example.org' })
  const bytes = Buffer.from(request)
  for (let cut = 1; cut < bytes.length; cut++) {
    const client = await policyClient({ port: daemon.port })
    client.socket.setNoDelay(true)
    client.send(bytes.subarray(0, cut))
    // The pieces arrive apart: the neighbour's turn lies between them.
    if (cut % 25 === 0) await isWell(t)
    else await new Promise(resolve => setImmediate(resolve))
    client.send(bytes.subarray(cut))
    const answer = await client.answer()
    client.close()
    if (answer !== 'action=dunno') t.equal(answer, 'action=dunno', `cut at ${cut}`)
  }
})

t.test('a HELO of 2,000 characters in front of the user name does not lift the limit', async t => {
  const client = await open(t)
  const long = (): string =>
    message({
      helo_name: 'h'.repeat(2000),
      sasl_username: 'longhelo',
      client_name: 'c'.repeat(2000),
    })
  t.equal(await acceptedOf(client, long), ENDLESS)
  await isWell(t)
})

t.test('tricks in values make no second user, no second attribute and no second line', async t => {
  const client = await open(t)
  const tricks: Readonly<Record<string, string>> = {
    NUL: 'trick\0a',
    CR: 'trick\rb',
    'line separator': 'trick\u2028c',
    'next line': 'trick\u0085d',
    'escape sequence': 'trick\u001b[2Je',
    'bidi override': 'trick\u202ef',
    'quote and equals sign': 'trick" verdict="ok',
    'no UTF-8': Buffer.from('trick\xff\xfeg', 'latin1').toString('latin1'),
  }
  for (const [name, sasl_username] of Object.entries(tricks)) {
    t.equal(await acceptedOf(client, () => message({ sasl_username })), ENDLESS, name)
  }
  t.equal(
    await acceptedOf(client, () => message({ sasl_username: 'trick\0zzz' })),
    ENDLESS,
    'what follows a NUL is part of the name: nobody takes another account for his own',
  )
  await isWell(t)
  await until(() => daemon.log().includes('user="trick\\x00zzz"'))
  for (const line of daemon.log().split('\n').slice(0, -1)) {
    if (/[^\P{C}]/u.test(line)) t.fail(`a control character in the log: ${JSON.stringify(line)}`)
    if (/user="?trick/.test(line)) {
      const bare = line.replace(/"(?:[^"\\]|\\.)*"/g, '""')
      t.equal(bare.match(/verdict=/g)?.length, 1, 'one verdict a line')
    }
  }
})

t.test('a sender that brings an action of its own gets ours', async t => {
  const client = await open(t)
  for (const sender of ['action=ok', 'x@example.org\raction=ok', 'x\u2028action=permit']) {
    client.send(message({ sender, action: 'ok', sasl_username: 'forger' }))
    const answer = await client.answer()
    t.equal(answer, 'action=dunno')
  }
  client.send(message({ sender: 'action=ok', action: 'ok', sasl_username: 'forger' }))
  t.match(await client.answer(), /^action=reject 5\.7\.1 /, 'and is limited')
})

t.test('the address of a country can not be forged into a text of our own', async t => {
  const client = await open(t)
  client.send(message({ client_address: '1.1.1.1\raction=ok', sasl_username: 'abroad' }))
  t.notMatch(await client.answer(), /ok/)
  client.send(message({ client_address: 'unknown', sasl_username: 'abroad' }))
  t.equal(await client.answer(), 'action=dunno')
})

t.test('counts that are none do no harm', async t => {
  const client = await open(t)
  for (const recipient_count of ['-5', 'NaN', '1e9', '٣', '0x10', '']) {
    client.send(message({ recipient_count, sasl_username: `count${recipient_count}` }))
    t.equal(await client.answer(), 'action=dunno', `"${recipient_count}" counts as one`)
  }
  for (const recipient_count of ['9007199254740991', '99999999999999999999']) {
    client.send(message({ recipient_count, sasl_username: 'most' }))
    t.match(await client.answer(), /^action=reject/, `${recipient_count} is more than any limit`)
  }
  client.send(message({ recipient_count: '1', sasl_username: 'most' }))
  t.equal(await client.answer(), 'action=dunno', 'what was refused was not counted')
})

t.test('values that no configuration can hold are refused by name', async t => {
  const variable = (name: string, value: string) => daemon.ctl('set', `mtpolicyd/${name}=${value}`)
  for (const [name, value] of [
    ['allowedcountries', 'Germany'],
    ['allowedcountries', 'DE,XX'],
    ['allowedcountries', ''],
    ['threshold', '-1'],
    ['port', '70000'],
    ['threshold', '5\nmtpolicyd/port: 1'],
  ] as const) {
    const { status, stdout, stderr } = await variable(name, value)
    t.not(status, 0, `${name}=${JSON.stringify(value)}`)
    t.match(stdout + stderr, new RegExp(`mtpolicyd/${name}`))
  }
  await isWell(t)
})

t.test('a log that nobody reads stops neither the answers nor the end', async t => {
  const port = await freePort()
  const root = t.testdir()
  await runProgram(
    join(dist, 'mtpolicyctl'),
    ...['--root', root, 'set', `mtpolicyd/port=${port}`, 'mtpolicyd/debug=4'],
  )
  const stuck = spawn(join(dist, 'mtpolicyd'), ['--root', root, '-f'], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  t.teardown(() => stuck.kill('SIGKILL'))
  const ended = new Promise(resolve => stuck.once('exit', resolve))
  await new Promise(resolve => stuck.stderr.once('readable', resolve))
  let client: PolicyClient | undefined
  while (!client) client = await policyClient({ port }).catch(() => undefined)
  t.teardown(client.close)
  // Far more than a pipe holds: debug 4 writes some 2 KB a request.
  for (let i = 0; i < 2000; i++) {
    client.send(message({ sasl_username: '' }))
    if ((await client.answer()) !== 'action=dunno') t.fail('another answer')
  }
  stuck.kill('SIGTERM')
  client.close()
  t.equal(await ended, 0)
})

// The daemon and the neighbour would keep the process alive.
t.end()
