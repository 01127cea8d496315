/**
 * Registration on a UCS server: UCR is imitated (test/support/fake-ucr.py), its hook is our real one,
 * and what it renders is read by a real, private Postfix that real mails go through.
 */

import fs from 'node:fs'
import net from 'node:net'
import path from 'node:path'
import t from 'tap'
import { inspect } from '../../daemon/postfix/inspect.ts'
import { follow, register, unregister } from '../../daemon/postfix/registration/register.ts'
import type { UcrView } from '../../daemon/postfix/registration/registration.ts'
import {
  planRegistration,
  undone,
  type Wanted,
} from '../../daemon/postfix/registration/ucs-variables.ts'
import { END_OF_DATA } from '../../daemon/postfix/smtpd/restriction-list.ts'
import { type Run, runProgram } from '../../daemon/system/external-program.ts'
import { runCommand } from '../support/command.ts'
import { createFakeUcs, fakeUcsMissing } from '../support/fake-ucs.ts'
import { sendMail } from '../support/smtp-client.ts'

const INBOUND = 'mail/postfix/smtpd/restrictions/recipient'
const OPTIONS = 'mail/postfix/mastercf/options'
const endOfData = (service: string) => `${OPTIONS}/${service}/${END_OF_DATA}`
const AT_RCPT = 'check_policy_service { inet:127.0.0.1:12345, default_action=DUNNO, timeout=5s }'
const AT_END = 'check_policy_service,{inet:127.0.0.1:12345,default_action=DUNNO,timeout=5s}'
const endpoint = { host: 'localhost', port: 12345 }
const WIKI = 'check_policy_service inet:127.0.0.1:12345'

type Values = Readonly<Record<string, string>>

function viewOf(normal: Values, forced: Values = {}): UcrView {
  const layers = [
    { scope: 'normal', values: new Map(Object.entries(normal)) },
    { scope: 'forced', values: new Map(Object.entries(forced)) },
  ]
  return { layers, merged: new Map(layers.flatMap(({ values }) => [...values])) }
}

function planOf(normal: Values, forced: Values = {}, more: Partial<Wanted> = {}) {
  const wanted = { endpoint, was: [], mailVersion: '3.7.11', complete: true, ...more }
  const { changes, reasons, notes } = planRegistration(viewOf(normal, forced), wanted)
  return { changes: Object.fromEntries(changes), reasons, notes }
}

t.test(
  'on a fresh UCS inbound mail is checked at 79, authenticated mail at the end of data',
  async t => {
    const authenticated = { [endOfData('submission')]: AT_END, [endOfData('smtps')]: AT_END }
    t.strictSame(planOf({}), {
      changes: { [`${INBOUND}/79`]: AT_RCPT, ...authenticated },
      reasons: [],
      notes: [],
    })
    const onPort25 = { [`${OPTIONS}/smtp/smtpd_sasl_auth_enable`]: 'yes' }
    t.equal(planOf(onPort25).changes[endOfData('smtp')], AT_END, 'port 25 if users log in there')
    const old = planOf({}, {}, { mailVersion: '2.11.3' }).changes
    t.equal(old[`${INBOUND}/79`], WIKI, 'Postfix 2 does not support braces')
    t.equal(old[endOfData('smtps')], 'check_policy_service,inet:127.0.0.1:12345')
    for (const [key, value] of Object.entries(planOf(onPort25).changes)) {
      if (key.startsWith(OPTIONS)) t.notMatch(value, /\s/, 'a space would break the service')
    }
  },
)

t.test('values set by others stay in place', async t => {
  const quota = 'check_policy_service inet:127.0.0.1:12340'
  const taken = planOf({ [`${INBOUND}/79`]: quota }).changes
  t.equal(taken[`${INBOUND}/79`], undefined)
  t.equal(taken[`${INBOUND}/79-mtpolicyd`], AT_RCPT, 'not a number: Dovecot counts up from those')

  const both = planOf({ [`${INBOUND}/79`]: quota, [`${INBOUND}/79-mtpolicyd`]: quota })
  t.match(both.reasons, [/are taken/])
  t.notOk(Object.keys(both.changes).some(key => key.startsWith(INBOUND)))

  const behind = planOf({ [endOfData('smtps')]: 'check_client_access,cidr:/etc/list' })
  t.equal(behind.changes[endOfData('smtps')], `${AT_END},check_client_access,cidr:/etc/list`)
  const blank = planOf({ [endOfData('smtps')]: 'permit_mynetworks, reject' })
  t.match(blank.reasons, [/contains a space/])
  t.equal(blank.changes[endOfData('smtps')], undefined)

  for (const value of [
    WIKI,
    'check_policy_service inet:localhost:12345',
    'permit_tls_clientcerts, check_policy_service { inet:[::1]:12345, timeout=1s }',
  ]) {
    const own = planOf({ [`${INBOUND}/05-mine`]: value })
    t.notOk(
      Object.keys(own.changes).some(key => key.startsWith(INBOUND)),
      value,
    )
    t.equal(own.changes[endOfData('smtps')], AT_END, 'what is missing is added')
  }
  t.match(planOf({ [`${INBOUND}/79`]: WIKI }).notes, [/79 was set by an administrator/])
})

t.test('a policy or forced layer is reported, not overridden', async t => {
  const forced = planOf({}, { [endOfData('smtps')]: 'reject_unauth_pipelining' })
  t.match(forced.reasons, [/smtps.*should be: check_policy/])
  t.equal(forced.changes[endOfData('smtps')], undefined)
  t.strictSame(planOf({}, { [endOfData('smtps')]: AT_END }).reasons, [], 'there it is ours')
})

t.test(
  'entries follow the daemon to another port, and everything else in them is kept',
  async t => {
    const was = [{ host: 'localhost', port: 12345 }]
    const moved = planOf(
      {
        [`${INBOUND}/79`]: WIKI,
        [`${INBOUND}/80`]: 'check_policy_service inet:127.0.0.1:12340',
        [endOfData('smtps')]: `${AT_END},check_client_access,cidr:/etc/12345`,
      },
      {},
      { endpoint: { host: '2001:db8::1', port: 10031 }, was, complete: false },
    )
    t.strictSame(moved.changes, {
      [`${INBOUND}/79`]: 'check_policy_service inet:[2001:db8::1]:10031',
      [endOfData('smtps')]:
        'check_policy_service,{inet:[2001:db8::1]:10031,default_action=DUNNO,timeout=5s},check_client_access,cidr:/etc/12345',
    })
  },
)

t.test('an undo restores the previous value, or cuts only our item', async t => {
  const entry = { written: AT_RCPT, previous: undefined }
  t.equal(undone(AT_RCPT, entry, [endpoint]), undefined)
  t.equal(undone(AT_RCPT, { ...entry, previous: 'permit' }, [endpoint]), 'permit')
  t.equal(undone(WIKI, entry, [endpoint]), undefined, 'only ours in other words')
  t.equal(undone('permit', entry, [endpoint]), 'permit', 'meanwhile set by somebody else')
  t.equal(undone(undefined, entry, [endpoint]), undefined)
  t.equal(undone(`a,${AT_END},b c`, entry, [endpoint]), 'a,b c')
  t.equal(undone(`a b, ${AT_RCPT}`, entry, [endpoint]), 'a b')
  t.equal(undone(`${WIKI} a`, entry, [endpoint]), 'a')
})

t.setTimeout(400_000)
const skip = fakeUcsMissing()
t.test('with UCR’s hook and a real Postfix', { skip }, async t => {
  const ucs = await createFakeUcs()
  const { rig } = ucs
  t.teardown(() => rig.remove())
  const daemon = await policyServer()
  const neighbour = await policyServer()
  t.teardown(() => Promise.all([daemon.close(), neighbour.close()]))
  const here = { host: 'localhost', port: daemon.port }
  const stateFile = path.join(ucs.root, 'var/lib/univention-mtpolicyd/postfix.json')
  const stateFolder = path.dirname(stateFile)
  const run: Run = argv => runProgram(argv)
  // `postfix check` is slow: replaced where it is not the subject of the test.
  const unchecked: Run = async argv =>
    argv.at(-1) === 'check' ? { status: 0, stdout: '', stderr: '' } : run(argv)
  const options = {
    run,
    endpoint: here,
    stateFile,
    ucr: ucs.access,
    configDirs: [path.join(ucs.root, 'etc/postfix')],
  }
  const quick = { ...options, run: unchecked }
  const port = (value: string) => value.replaceAll('12345', String(daemon.port))
  // As smtpd reads it: a space after the word.
  const seen = (value: string) => port(value).replace(',', ' ')
  const wiki = port(WIKI)

  const send = (service: 'smtp' | 'submission' | 'smtps', to: string | string[], user?: string) =>
    sendMail({
      port: rig.ports[service],
      tls: service === 'smtps',
      localAddress: '127.0.0.2',
      from: 'sender@example.org',
      to,
      ...(user ? { user: rig.login(user), password: rig.password } : {}),
    })
  const THREE = ['a@example.com', 'b@example.com', 'c@example.com']

  /** Sends one mail of each kind; returns the requests to the daemon, abbreviated. */
  const asked = async () => {
    daemon.requests.length = 0
    const mails = [
      await send('submission', THREE, 'alice'),
      await send('smtps', THREE, 'bob'),
      await send('smtp', ['local@example.org', 'other@example.org']),
    ]
    const relay = await send('smtp', 'somebody@example.net')
    return {
      accepted: mails.map(({ accepted }) => accepted),
      relay: relay.recipients[0]?.code,
      requests: daemon.requests.map(request =>
        [
          request.get('protocol_state'),
          request.get('recipient_count'),
          request.get('sasl_username') || request.get('recipient'),
        ].join(' '),
      ),
    }
  }
  const authenticated = [
    `END-OF-MESSAGE 3 ${rig.login('alice')}`,
    `END-OF-MESSAGE 3 ${rig.login('bob')}`,
  ]
  const inbound = ['RCPT 0 local@example.org', 'RCPT 0 other@example.org']
  const all = { accepted: [true, true, true], relay: 454, requests: [...authenticated, ...inbound] }

  await rig.start()
  const around = { 'fake/neighbour': `inet:127.0.0.1:${neighbour.port}` }
  const starts: Record<string, { values: Values; requests?: string[]; left?: string }> = {
    'a fresh UCS': { values: {} },
    'the wiki’s line from before': { values: { [`${INBOUND}/79`]: wiki }, left: `${INBOUND}/79` },
    'listfilter and greylisting, 79 taken': {
      values: {
        ...around,
        'mail/postfix/policy/listfilter': 'true',
        'mail/postfix/greylisting': 'yes',
        [`${INBOUND}/79`]: `check_policy_service inet:127.0.0.1:${neighbour.port}`,
      },
    },
    'services with an end-of-data list': {
      values: {
        [endOfData('submission')]: 'reject_unauth_pipelining',
        [endOfData('smtps')]: '',
        [`${OPTIONS}/submission/smtpd_recipient_restrictions`]: 'permit_sasl_authenticated,reject',
      },
    },
  }
  for (const [name, { values, left }] of Object.entries(starts)) {
    await t.test(`queried about every mail once, and removed without a trace: ${name}`, async t => {
      ucs.reset(values)
      const before = ucs.files()
      const first = name === 'a fresh UCS' ? options : quick
      t.match(await register(first), [{ outcome: 'registered', ok: true, reloaded: true }])
      const check = await run(['postfix', '-c', rig.configDirectory, 'check'])
      t.strictSame(check, { status: 0, stdout: '', stderr: '' }, 'postfix check is silent')
      await rig.reload()
      t.strictSame(await asked(), all)

      const registered = ucs.files()
      t.match(await register(quick), [{ outcome: 'already', ok: true, reloaded: false }])
      t.strictSame(ucs.files(), registered, 'twice is once')
      t.match(await inspect(options), [{ item: seen(AT_END), isRecorded: true, ok: true }])

      const [undo] = await unregister(quick)
      t.match(undo, { outcome: 'unregistered', ok: left === undefined, reloaded: true })
      if (left) t.match(undo?.reasons, [new RegExp(`still queries the daemon: ${left}=`)])
      t.strictSame(ucs.files(), before, 'variables, main.cf and master.cf as before')
      t.strictSame(fs.readdirSync(stateFolder), [], 'no record left')
      t.match(await unregister(quick), [{ outcome: 'nothing' }])
      t.match(await inspect(options), [{ isRecorded: false }])
    })
  }

  await t.test('no requests before and after', async t => {
    ucs.reset()
    await rig.reload()
    t.strictSame(await asked(), { ...all, requests: [] })
  })

  await t.test('the wiki’s line alone protects authenticated mail too', async t => {
    ucs.reset({ 'mtpolicyd/port': String(daemon.port) })
    t.match(ucs.mtpolicyctl('ucr', 'setup'), { status: 0, said: /univention_mtpolicyd/ })
    const before = ucs.files()
    const set = ucs.ucr('set', `${INBOUND}/79=${wiki}`)
    t.match(set, { status: 0, said: /registered; queried\s+wherever\s+users\s+log\s+in/ })
    t.notMatch(set.said, 'does not reach', 'Postfix was reloaded with the new files')
    t.equal(ucs.get(`${INBOUND}/79`), wiki, 'as written')
    t.equal(ucs.get(endOfData('submission')), port(AT_END))
    await rig.reload()
    t.strictSame(await asked(), all)

    t.match(ucs.ucr('unset', `${INBOUND}/79`), { status: 0, said: /unregistered/ })
    t.strictSame(ucs.files(), before, 'and without it everything is restored')

    await t.test('which is removed with the package, because nothing would answer it', async t => {
      ucs.ucr('set', `${INBOUND}/79=${wiki}`)
      const undo = ucs.mtpolicyctl('postfix', 'unregister')
      t.match(undo, { status: 0, said: /no longer\s+queried/ })
      t.notMatch(
        undo.said,
        /still queries/,
        'nor does the hook that this triggers report anything else',
      )
      t.strictSame(ucs.files(), before)
    })
    await t.test('an entry that replaces our own is removed like that', async t => {
      ucs.mtpolicyctl('postfix', 'register')
      t.equal(ucs.get(`${INBOUND}/79`), port(AT_RCPT))
      ucs.ucr('set', `${INBOUND}/79=${wiki}`)
      t.equal(ucs.mtpolicyctl('postfix', 'unregister').status, 0)
      t.strictSame(ucs.files(), before)
    })
  })

  await t.test('a plain ucr set of host variables takes effect', async t => {
    ucs.reset({ 'mtpolicyd/port': String(daemon.port) })
    ucs.mtpolicyctl('postfix', 'register')
    const file = path.join(ucs.root, 'etc/univention-mtpolicyd/mtpolicyd.conf')
    t.equal(ucs.ucr('set', 'mtpolicyd/threshold=200').status, 0)
    const configuration = fs.readFileSync(file, 'utf8')
    t.match(configuration, '200')

    t.equal(ucs.ucr('set', 'mtpolicyd/threshold=many').status, 2, 'UCR knows the type')
    const refused = ucs.ucr('set', 'mtpolicyd/allowedcountries=XX')
    t.match(refused, { status: 0, said: /XX/ }, 'a value that only we can judge is reported')
    t.equal(fs.readFileSync(file, 'utf8'), configuration, 'and changes nothing')
    ucs.ucr('unset', 'mtpolicyd/allowedcountries')

    const moved = ucs.ucr('set', 'mtpolicyd/port=10031')
    t.equal(moved.status, 0, moved.said)
    t.match(fs.readFileSync(file, 'utf8'), '10031')
    const { main, master } = ucs.files()
    t.match(main, 'inet:127.0.0.1:10031')
    t.match(master, 'inet:127.0.0.1:10031')
    t.notMatch(main + master, String(daemon.port), 'the old endpoint is gone')
    t.equal(ucs.mtpolicyctl('postfix', 'unregister').status, 0)
    t.notMatch(ucs.files().main + ucs.files().master, '10031')
    t.equal(ucs.mtpolicyctl('ucr', 'remove').status, 0)
  })

  await t.test('without permission nothing is added to an administrator’s entry', async t => {
    ucs.reset({ [`${INBOUND}/79`]: wiki })
    const before = ucs.files()
    const forbidden = { ...quick, ucr: { ...ucs.access, mayComplete: false } }
    t.match(await follow(quick), [{ outcome: 'nothing' }], 'nor to an older one, by a hook')
    t.strictSame(ucs.files(), before)
    t.match(await follow(forbidden, [`${INBOUND}/79`]), [{ outcome: 'already' }])
    t.strictSame(ucs.files(), before)
    // Its port is followed all the same.
    const there = { ...forbidden, endpoint: { host: 'localhost', port: 10031 } }
    t.match(await follow(there), [{ outcome: 'registered' }])
    t.equal(ucs.get(`${INBOUND}/79`), 'check_policy_service inet:127.0.0.1:10031')
    await unregister(there)
  })

  await t.test('an own entry that is gone before main.cf is rendered is not reported', async t => {
    ucs.reset({ [`${INBOUND}/79`]: wiki })
    const forbidden = { ...quick, ucr: { ...ucs.access, mayComplete: false } }
    await follow(forbidden, [`${INBOUND}/79`])
    const unset = { ...quick, ucr: { ...ucs.access, view: () => viewOf({}) } }
    const [result] = await follow(unset)
    t.strictSame([result?.outcome, result?.reasons], ['nothing', []])
  })

  await t.test('the undo after a move restores the original', async t => {
    ucs.reset({ [endOfData('submission')]: 'reject_unauth_pipelining' })
    const before = ucs.files()
    await register(quick)
    const moved = { ...quick, endpoint: { host: 'localhost', port: 10031 } }
    t.match(await inspect(moved), [{ item: undefined, staleItem: port(AT_END) }])
    t.match(await follow(moved), [{ outcome: 'registered', ok: true }])
    t.match(await inspect(moved), [{ isRecorded: true, staleItem: undefined }])
    await unregister(moved)
    t.strictSame(ucs.files(), before)
  })

  await t.test('an administrator’s changes in between stay, only ours are removed', async t => {
    ucs.reset()
    await register(quick)
    const mine = `reject_unauth_pipelining,${port(AT_END)},permit`
    ucs.ucr('set', `${endOfData('smtps')}=${mine}`, `${INBOUND}/60=reject_non_fqdn_sender`)
    fs.writeFileSync(`${rig.masterCf}.local`, '# local\n')
    ucs.ucr('commit')
    t.match(await unregister(quick), [{ outcome: 'unregistered', ok: true }])
    t.equal(ucs.get(endOfData('smtps')), 'reject_unauth_pipelining,permit')
    t.equal(ucs.get(endOfData('submission')), '')
    t.match(ucs.files().main, 'reject_non_fqdn_sender')
    t.notMatch(ucs.files().main + ucs.files().master, String(daemon.port))
    fs.rmSync(`${rig.masterCf}.local`)
  })

  await t.test('a layer or file that overrides ours is reported', async t => {
    ucs.reset()
    ucs.ucr('set', '--force', `${endOfData('smtps')}=reject_unauth_pipelining`)
    fs.writeFileSync(
      `${rig.masterCf}.local`,
      `${rig.ports.submission} inet n - n - - smtpd -o smtpd_sasl_auth_enable=yes\n`,
    )
    ucs.ucr('commit')
    const [result] = await register(quick)
    t.match(result, { outcome: 'registered', ok: false })
    t.match(result?.reasons.join('\n'), /the "forced" layer overrides/)
    const unasked = new RegExp(`${rig.ports.submission}/inet: .*before the daemon is queried`)
    t.match(result?.reasons.join('\n'), unasked)
    t.match(await inspect(options), [{ ok: false, coverage: 'none' }])
    fs.rmSync(`${rig.masterCf}.local`)
    fs.writeFileSync(`${rig.mainCf}.local`, 'smtpd_recipient_restrictions = permit_mynetworks\n')
    ucs.ucr('commit')
    const [hidden] = await register(quick)
    t.match(hidden?.reasons.join('\n'), /79 does not reach smtpd_recipient_restrictions/)
    fs.rmSync(`${rig.mainCf}.local`)
    t.match(await unregister(quick), [{ outcome: 'unregistered', ok: true }])
  })

  await t.test('a change that Postfix complains about is undone at once', async t => {
    ucs.reset()
    const before = ucs.files()
    const complaining: Run = async argv => {
      const isNew = argv.at(-1) === 'check' && ucs.files().master.includes(END_OF_DATA)
      return isNew
        ? { status: 1, stdout: '', stderr: 'postfix: fatal: something new\n' }
        : unchecked(argv)
    }
    const [result] = await register({ ...options, run: complaining })
    t.match(result, { outcome: 'failed', reasons: [/something new/, /.*/, /were restored/] })
    t.strictSame(ucs.files(), before)
    t.strictSame(
      fs.readdirSync(stateFolder).filter(name => name.startsWith('postfix')),
      [],
    )

    const refusing: Run = async argv =>
      argv[1] === 'set' ? { status: 1, stdout: '', stderr: 'E: no\n' } : unchecked(argv)
    t.match(await register({ ...options, run: refusing }), [
      { outcome: 'failed', reasons: [/ucr set failed: E: no/, /were restored/] },
    ])
    t.strictSame(ucs.files(), before)
  })

  await t.test('a record that another user can write is not trusted', async t => {
    ucs.reset()
    await register(quick)
    const file = path.join(stateFolder, 'postfix-ucr.json')
    fs.chmodSync(file, 0o666)
    t.match(await unregister(quick), [{ outcome: 'failed', reasons: [/not trusted/] }])
    fs.chmodSync(file, 0o600)
    t.match(await unregister(quick), [{ outcome: 'unregistered' }])
  })

  await t.test(
    'if main.cf is not UCR’s, or another instance is meant, it is treated as plain Debian',
    async t => {
      ucs.reset()
      const diversions = path.join(ucs.root, 'var/lib/dpkg/diversions')
      const diverted = fs.readFileSync(diversions)
      fs.writeFileSync(diversions, '')
      const configDirs = [path.join(ucs.root, 'etc/postfix')]
      t.match(await register({ ...quick, configDirs }), [
        { outcome: 'refused', linesToAdd: [{ line: /inet:/ }] },
      ])
      fs.writeFileSync(diversions, diverted)
      const elsewhere = t.testdir()
      t.match(await register({ ...quick, configDirs: [elsewhere] }), [{ outcome: 'no-postfix' }])
    },
  )

  await t.test('a daemon that hangs or is gone does not hold up mail', async t => {
    ucs.reset()
    await register(quick)
    await rig.reload()
    daemon.silence()
    const before = daemon.requests.length
    t.match(await send('submission', THREE, 'alice'), { accepted: true }, 'silent')
    // Each time Postfix waits for 5 s.
    t.equal(daemon.requests.length - before, 2, 'it is asked twice and no more')
    await daemon.close()
    t.match(await send('submission', THREE, 'alice'), { accepted: true }, 'gone')
    t.match(await send('smtp', 'local@example.org'), { accepted: true }, 'inbound, too')
    await rig.logged(/warning: problem talking to server 127\.0\.0\.1:\d+/)
    await unregister(quick)
  })
})

t.test('without UCR there is nothing to set up', async t => {
  const said: string[] = []
  const io = { root: t.testdir(), out: say, err: say, run: runProgram }
  t.equal(await runCommand(['ucr', 'setup'], io), 0)
  t.equal(await runCommand(['ucr', 'remove'], io), 0)
  t.strictSame(said, [])
  t.equal(await runCommand(['ucr', 'install'], io), 64)
  function say(text: string) {
    said.push(text)
  }
})

interface PolicyServer {
  readonly port: number
  /** All requests, with all attributes. */
  readonly requests: Map<string, string>[]
  /** From now on it listens but does not answer. */
  silence(): void
  close(): Promise<void>
}

/** Answers dunno to everything and remembers it. */
async function policyServer(): Promise<PolicyServer> {
  const requests: Map<string, string>[] = []
  const sockets = new Set<net.Socket>()
  let isSilent = false
  const server = net.createServer(socket => {
    sockets.add(socket)
    let text = ''
    socket.on('error', () => {})
    socket.on('data', chunk => {
      text += chunk
      for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
        const lines = text.slice(0, end).split('\n')
        text = text.slice(end + 2)
        requests.push(
          new Map(
            lines.map(line => [
              line.slice(0, line.indexOf('=')),
              line.slice(line.indexOf('=') + 1),
            ]),
          ),
        )
        if (!isSilent) socket.write('action=dunno\n\n')
      }
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return {
    port: address.port,
    requests,
    silence() {
      isSilent = true
    },
    async close() {
      for (const socket of sockets) socket.destroy()
      await new Promise(resolve => server.close(resolve))
    },
  }
}
