/**
 * Register, follow and unregister where something is in the way: lists of a service's own in every
 * form, items of an administrator's, files that are links, mounts, read-only, edited meanwhile,
 * generated; other address families; two commands at once; records of the version before.
 */

import { createHash } from 'node:crypto'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import t from 'tap'
import { inspect } from '../../daemon/postfix/inspect.ts'
import {
  follow,
  type RegistrationResult,
  register,
  unregister,
} from '../../daemon/postfix/registration/register.ts'
import { restrictionItem } from '../../daemon/postfix/smtpd/endpoint.ts'
import { END_OF_DATA } from '../../daemon/postfix/smtpd/restriction-list.ts'
import { type Run, runProgram } from '../../daemon/system/external-program.ts'
import {
  type MailHost,
  mailHostMissing,
  makeMailHost,
  type RunOptions,
} from '../support/mail-host.ts'
import { onHost, userPasses } from '../support/mail-session.ts'
import { filesOf, makeCertificate, runnableSetup } from '../support/postfix-setups.ts'

const skip = mailHostMissing()
t.setTimeout(600_000)

const ITEM = restrictionItem({ kind: 'inet', host: '127.0.0.1', port: '12345' }, '3.7')
const BLANK_FREE = 'check_policy_service {inet:127.0.0.1:12345,default_action=DUNNO,timeout=5s}'
const MAIN = `compatibility_level = 3.6
myhostname = mail.example.org
mynetworks = 127.0.0.0/8
smtpd_sasl_auth_enable = no
own = reject_unauth_pipelining
`
const SUBMISSION = '  -o smtpd_sasl_auth_enable=yes\n'
const MASTER = `smtp inet n - n - - smtpd
submission inet n - n - - smtpd
${SUBMISSION}submissions inet n - n - - smtpd
${SUBMISSION}  -o ${END_OF_DATA}=reject_unauth_pipelining
cleanup unix n - n - 0 cleanup
`

let defaults: ReturnType<Run> | undefined
/** `postfix check` takes seconds: replaced where it is not the subject of the test. */
const unchecked: Run = async argv => {
  if (argv.at(-1) === 'check') return { status: 0, stdout: '', stderr: '' }
  if (argv.join(' ') !== 'postconf -d') return runProgram(argv)
  defaults ??= runProgram(argv)
  return defaults
}

/** Configuration files that no Postfix runs with, and what register is told about them. */
function files(t: Tap, mainCf = MAIN, masterCf = MASTER) {
  const directory = t.testdir()
  const file = (name: string) => path.join(directory, name)
  fs.writeFileSync(file('main.cf'), mainCf, 'latin1')
  fs.writeFileSync(file('master.cf'), masterCf, 'latin1')
  const read = (name: string) => fs.readFileSync(file(name), 'latin1')
  return {
    directory,
    stateFile: file('state/postfix.json'),
    both: () => ({ 'main.cf': read('main.cf'), 'master.cf': read('master.cf') }),
    edit(name: 'main.cf' | 'master.cf', change: (text: string) => string) {
      fs.writeFileSync(file(name), change(read(name)), 'latin1')
    },
    options: (port = 12345, was?: number) => ({
      run: unchecked,
      endpoint: { host: 'localhost', port },
      configDirs: [directory],
      stateFile: file('state/postfix.json'),
      ...(was === undefined ? {} : { was: [{ host: 'localhost', port: was }] }),
    }),
  }
}
type Tap = { testdir(): string }

t.test('a text of any form is restored byte for byte', { skip }, async t => {
  const own = (list: string) => MASTER.replace(/-o smtpd_end_of_data_restrictions=.*/, `-o ${list}`)
  const forms: Record<string, [string, string]> = {
    'CRLF line ends': [MAIN.replaceAll('\n', '\r\n'), MASTER.replaceAll('\n', '\r\n')],
    'Latin-1 in comments': [`# für\n${MAIN}# ä\n`, `# ß\n${MASTER}# ö\n`],
    'no line end at the end': [
      MAIN.trimEnd(),
      `${MASTER}587 inet n - n - - smtpd\n${SUBMISSION}  -o ${END_OF_DATA}=permit`,
    ],
    'two definitions': [`${END_OF_DATA} = reject\n${MAIN}${END_OF_DATA} = permit\n`, MASTER],
    'two entries for one service': [
      MAIN,
      `${MASTER}submissions inet n - n - - smtpd\n${SUBMISSION}  -o ${END_OF_DATA}=\n`,
    ],
    'two options for one parameter': [
      MAIN,
      own(`${END_OF_DATA}=reject\n  -o ${END_OF_DATA}=permit`),
    ],
    'comments and empty lines within the options': [
      MAIN,
      own(`syslog_name=x\n# a remark\n\n  # another\n  -o ${END_OF_DATA}=permit`),
    ],
    'an empty list': [MAIN, own(`${END_OF_DATA}=`)],
    'an empty list in braces': [MAIN, own(`{ ${END_OF_DATA} = }`)],
    'a list by name': [MAIN, own(`${END_OF_DATA}=$own`)],
    'a list in braces': [MAIN, own(`{ ${END_OF_DATA} = reject_unauth_pipelining, permit }`)],
    'a list with commas': [MAIN, own(`${END_OF_DATA}=reject_unauth_pipelining,permit`)],
    'an option without a space': [MAIN, MASTER.replaceAll(`-o ${END_OF_DATA}`, `-o${END_OF_DATA}`)],
    'options on the line of the service': [MAIN, MASTER.replaceAll(/\n +-o/g, ' -o')],
    'another policy service, in braces of its own': [
      MAIN,
      own(`${END_OF_DATA}=check_policy_service,{inet:127.0.0.1:10031,timeout=1s},permit`),
    ],
  }
  for (const [name, [mainCf, masterCf]] of Object.entries(forms)) {
    await t.test(name, async t => {
      const here = files(t, mainCf, masterCf)
      const before = here.both()
      t.match(await register(here.options()), [{ ok: true, coverage: 'complete' }])
      t.match(await inspect(here.options()), [{ ok: true, coverage: 'complete' }])
      const registered = here.both()
      t.match(await register(here.options()), [{ outcome: 'already', ok: true }])
      t.strictSame(here.both(), registered, 'twice is once')
      t.match(await unregister(here.options()), [{ outcome: 'unregistered', ok: true }])
      t.strictSame(here.both(), before)

      await register(here.options())
      t.match(await register(here.options(12399)), [{ outcome: 'registered', ok: true }])
      t.notMatch(Object.values(here.both()).join(), '12345', 'the old endpoint is gone')
      t.match(await unregister(here.options(12399)), [{ outcome: 'unregistered', ok: true }])
      t.strictSame(here.both(), before, 'after a move, too')

      await register(here.options())
      const end = name.startsWith('CRLF') ? '\r\n' : '\n'
      const foreign = (text: string) => `${text}${text.endsWith('\n') ? '' : end}# theirs${end}`
      here.edit('main.cf', text => `biff = no${end}${foreign(text)}`)
      here.edit('master.cf', foreign)
      t.match(await unregister(here.options()), [{ outcome: 'unregistered', ok: true }])
      const { 'main.cf': main, 'master.cf': master } = here.both()
      t.equal(main, `biff = no${end}${foreign(before['main.cf'])}`, 'only our text goes')
      t.equal(master, foreign(before['master.cf']), 'from master.cf, too')
    })
  }
})

t.test('an administrator’s item keeps its options and moves with the daemon', { skip }, async t => {
  const server = (port: number) => `inet:127.0.0.1:${port}`
  const good = (port: number) =>
    `check_policy_service { ${server(port)}, timeout=9s, { default_action = 450 4.7.1 later } }`
  const bare = (port: number) => `check_policy_service ${server(port)}`
  const text = (port: number) => ({
    'main.cf': `${MAIN}${END_OF_DATA} = ${good(port)}\n`,
    'master.cf': MASTER.replace(
      `-o ${END_OF_DATA}=reject_unauth_pipelining`,
      `-o { ${END_OF_DATA} = ${bare(port)}, permit }`,
    ),
  })
  const here = files(t, text(12345)['main.cf'], text(12345)['master.cf'])
  t.match(await register(here.options()), [{ outcome: 'already', ok: true, coverage: 'complete' }])
  t.strictSame(here.both(), text(12345), 'as it was')
  t.match(await follow(here.options(12399, 12345)), [{ outcome: 'registered', ok: true }])
  t.strictSame(here.both(), text(12399), 'moved, with its options')
  t.match(await unregister(here.options(12399)), [
    { ok: false, reasons: [/still queries/, /still queries/] },
  ])
  t.strictSame(here.both(), text(12399), 'not ours to remove')
})

t.test('an item removed by hand is not added again', { skip }, async t => {
  const here = files(t)
  const before = here.both()
  await register(here.options())
  here.edit('master.cf', () => before['master.cf'])
  const edited = here.both()
  t.match(
    await follow(here.options()),
    [{ outcome: 'already', ok: false, reasons: [/submissions\/inet.*was removed/] }],
    'one of two',
  )
  t.strictSame(here.both(), edited)
  t.match(await follow(here.options(12399, 12345)), [{ outcome: 'registered', ok: false }])
  t.equal(here.both()['master.cf'], before['master.cf'], 'the other one follows')
  here.edit('main.cf', () => before['main.cf'])
  t.match(await follow(here.options(12345, 12399)), [
    { outcome: 'already', ok: false, reasons: [/main\.cf.*was removed/] },
  ])
  t.strictSame(here.both(), before)
  t.match(await unregister(here.options()), [{ outcome: 'nothing', ok: true }])
  t.strictSame(here.both(), before)
})

t.test('files that are links stay links', { skip }, async t => {
  const here = files(t)
  const before = here.both()
  for (const name of ['main.cf', 'master.cf']) {
    const place = path.join(here.directory, name)
    fs.renameSync(place, `${place}.real`)
    fs.symlinkSync(`${name}.real`, place)
  }
  t.match(await register(here.options()), [{ outcome: 'registered', ok: true }])
  t.match(await unregister(here.options()), [{ outcome: 'unregistered', ok: true }])
  t.strictSame(here.both(), before)
  t.ok(fs.lstatSync(path.join(here.directory, 'main.cf')).isSymbolicLink())
  t.ok(fs.lstatSync(path.join(here.directory, 'master.cf')).isSymbolicLink())
})

t.test('a record of the previous version is undone exactly', { skip }, async t => {
  const inserted = `${END_OF_DATA} = ${ITEM}\n`
  const after = MAIN + inserted
  const sha256 = (text: string) => createHash('sha256').update(text, 'latin1').digest('hex')
  const begin = () => {
    const here = files(t, after)
    const savedCopy = `main.cf.${sha256(MAIN).slice(0, 16)}.saved`
    const state = path.dirname(here.stateFile)
    fs.mkdirSync(state)
    fs.writeFileSync(path.join(state, savedCopy), MAIN, { mode: 0o600 })
    const { directory: configDir } = here
    const endpoint = { host: 'localhost', port: 12345 }
    const sums = { sha256Before: sha256(MAIN), sha256After: sha256(after), savedCopy }
    const edit = { parameter: END_OF_DATA, endpoint, item: ITEM, inserted, created: true }
    const text = JSON.stringify({ registrations: [{ configDir, ...edit, ...sums }] })
    fs.writeFileSync(here.stateFile, text, { mode: 0o600 })
    return here
  }
  const untouched = begin()
  t.match(await inspect(untouched.options()), [{ isRecorded: true, item: ITEM }])
  t.match(await unregister(untouched.options()), [{ outcome: 'unregistered', ok: true }])
  t.equal(untouched.both()['main.cf'], MAIN)
  t.strictSame(fs.readdirSync(path.dirname(untouched.stateFile)), [])

  const edited = begin()
  edited.edit('main.cf', text => `${text}# theirs\n`)
  t.match(await unregister(edited.options()), [{ outcome: 'unregistered', ok: true }])
  t.equal(edited.both()['main.cf'], `${MAIN}# theirs\n`)

  const completed = begin()
  const [result] = await register(completed.options())
  t.match(result, { outcome: 'registered', ok: true, coverage: 'complete' }, 'master.cf as well')
  t.match(completed.both()['master.cf'], BLANK_FREE.replace(' ', ','))
  t.match(await unregister(completed.options()), [{ outcome: 'unregistered', ok: true }])
  t.strictSame(completed.both(), { 'main.cf': MAIN, 'master.cf': MASTER })
})

t.test('the item contains an address that this Postfix can use', { skip }, async t => {
  const items = {
    ipv6: 'inet:[::1]:12345',
    ipv4: 'inet:127.0.0.1:12345',
    all: 'inet:127.0.0.1:12345',
  }
  for (const [protocols, server] of Object.entries(items)) {
    const here = files(t, `${MAIN}inet_protocols = ${protocols}\n`)
    t.match(await register(here.options()), [{ ok: true, coverage: 'complete' }], protocols)
    t.match(here.both(), { 'main.cf': server, 'master.cf': server })
  }
  const here = files(t, `${MAIN}inet_protocols = ipv4\n`)
  const before = here.both()
  const only6 = { ...here.options(), endpoint: { host: '::1', port: 12345 } }
  const [result] = await register(only6)
  t.match(result, { outcome: 'refused', ok: false, coverage: 'none' })
  t.match(result?.reasons[0], /IPv4 only .* listens on \[::1\]:12345/)
  t.strictSame(here.both(), before)
  t.notOk(fs.existsSync(here.stateFile))
})

t.test('on a host of its own', { skip }, async t => {
  const certificate = makeCertificate(t.testdir())
  const setup = runnableSetup('debian-12')

  await t.test(
    'a service with its own list queries the daemon, however that list is written',
    async t => {
      const lists: Record<string, string> = {
        5871: `  -o ${END_OF_DATA}=\n`,
        5872: `  -o ${END_OF_DATA}=$own\n`,
        5873: `  -o { ${END_OF_DATA} = reject_unauth_pipelining, permit }\n`,
        5874: `  -o ${END_OF_DATA}=reject_unauth_pipelining,permit\n`,
        5875: `# a remark\n  # indented\n\n  -o ${END_OF_DATA}=permit\n`,
        5876: `  -o${END_OF_DATA}=permit\n`,
        5877: `  -o ${END_OF_DATA}=check_policy_service,{inet:127.0.0.1:10031,timeout=1s},permit\n`,
        5878: `  -o ${END_OF_DATA}=reject -o ${END_OF_DATA}=permit\n`,
        5879: `  -o { ${END_OF_DATA} = }\n`,
        5880: '',
      }
      const services = Object.entries(lists).map(
        ([port, list]) => `${port} inet n - n - - smtpd\n${SUBMISSION}${list}`,
      )
      const host = makeMailHost({
        ...filesOf(setup, 'postfix', certificate, ['own = reject_unauth_pipelining']),
        'etc/postfix/master.cf': `${setup.masterCf}${services.join('')}`,
      })
      const { registered, unregistered, instances, askedAfterwards } = await onHost(host, {
        instances: [
          {
            name: 'postfix',
            sasl: setup.sasl,
            policyServices: ['inet:127.0.0.1:10031'],
            isChecked: true,
          },
        ],
      })
      t.match(registered, [{ ok: true, coverage: 'complete' }])
      t.match(unregistered, [{ ok: true, outcome: 'unregistered' }])
      t.equal(askedAfterwards, 0)
      t.strictSame(instances[0]?.after, instances[0]?.before)
      const users = instances[0]?.visits.filter(({ isLoggedIn }) => isLoggedIn) ?? []
      t.equal(users.length, 2 * (2 + services.length))
      for (const { service, mail, refused } of users) {
        t.match(mail, { accepted: true, asked: [{ state: 'END-OF-MESSAGE', count: 3 }] }, service)
        t.equal(mail.asked.length, 1, service)
        t.match(refused, { accepted: false, isQueued: false }, service)
      }
    },
  )

  await t.test('a Postfix with IPv6 only queries at ::1', async t => {
    const host = makeMailHost({
      ...filesOf(setup, 'postfix', certificate),
      'etc/postfix/main.cf': setup.mainCf.replace(/^inet_protocols.*$/m, 'inet_protocols = ipv6'),
    })
    const { registered, instances } = await onHost(host, {
      instances: [{ name: 'postfix', sasl: setup.sasl, policyServices: [], isIPv6: true }],
    })
    t.match(registered, [{ ok: true, coverage: 'complete', item: /inet:\[::1\]:12345/ }])
    const users = instances[0]?.visits.filter(userPasses) ?? []
    t.equal(users.length, 4)
    for (const { mail } of users) t.match(mail.asked, [{ state: 'END-OF-MESSAGE', count: 3 }])
  })

  await t.test(
    'a generated master.cf is left alone; with the suggested line it queries the daemon',
    async t => {
      const list = `  -o ${END_OF_DATA}=reject_unauth_pipelining\n`
      const generated = setup.masterCf.replace(/^(submissions .*\n)/m, `$1${list}`)
      const host = makeMailHost({
        ...filesOf(setup, 'postfix', certificate),
        'etc/postfix/master.cf': `# Ansible managed\n${generated}`,
      })
      t.teardown(() => host.remove())
      const { status, results } = await control(host, ['postfix', 'register', '--json'])
      t.equal(status, 3)
      t.match(results, [{ ok: false, outcome: 'registered', coverage: 'partial' }])
      const line = results[0]?.linesToAdd?.[0]
      t.equal(line?.service, 'submissions/inet')
      t.equal(read(host, 'master.cf'), `# Ansible managed\n${generated}`)
      t.match(read(host, 'main.cf'), ITEM)

      const pasted = generated.replace(list, `${line?.line ?? ''}\n`)
      t.not(pasted, generated)
      const { registered, instances } = await onHost(
        makeMailHost({
          ...filesOf(setup, 'postfix', certificate),
          'etc/postfix/master.cf': pasted,
        }),
        {
          instances: [{ name: 'postfix', sasl: setup.sasl, policyServices: [], isChecked: true }],
        },
      )
      t.match(registered, [{ ok: true, coverage: 'complete' }], 'postfix check is silent')
      const there = instances[0]?.visits.filter(one => one.service === 'submissions/inet') ?? []
      for (const { mail } of there) t.match(mail.asked, [{ state: 'END-OF-MESSAGE', count: 3 }])
      t.equal(there.length, 2)
    },
  )

  // The item makes the file a page longer, and a full disk does not have that page.
  const padding = `# ${'x'.repeat(8180 - setup.mainCf.length - 3)}\n`
  const mainHost = () =>
    makeMailHost({
      ...filesOf(setup, 'postfix', certificate),
      'etc/postfix/main.cf': `${padding}${setup.mainCf}`,
    })
  const MOUNT = 'mount --bind /etc/postfix/main.cf /etc/postfix/main.cf'

  await t.test('a main.cf that is a mount point is written in place', async t => {
    const host = mainHost()
    t.teardown(() => host.remove())
    const before = read(host, 'main.cf')
    const { results } = await control(host, ['postfix', 'register', '--json'], { before: MOUNT })
    t.match(results, [{ ok: true, outcome: 'registered', coverage: 'complete' }])
    t.match(read(host, 'main.cf'), ITEM)
    const undo = await control(host, ['postfix', 'unregister', '--json'], { before: MOUNT })
    t.match(undo.results, [{ ok: true, outcome: 'unregistered' }])
    t.equal(read(host, 'main.cf'), before)
  })

  await t.test('a file that cannot be written stays as it is, and nothing is recorded', async t => {
    const full =
      'mount -t tmpfs -o size=32k tmpfs /var/spool/postfix/saved && cp /etc/postfix/main.cf /var/spool/postfix/saved && { cat /dev/zero > /var/spool/postfix/saved/filler; true; } 2>/dev/null'
    const places = {
      'a read-only directory':
        'mount --bind /etc/postfix /etc/postfix && mount -o remount,bind,ro /etc/postfix',
      'a read-only mount': `${MOUNT} && mount -o remount,bind,ro /etc/postfix/main.cf`,
      'a mount on a full disk': `${full} && mount --bind /var/spool/postfix/saved/main.cf /etc/postfix/main.cf`,
    }
    for (const [name, before] of Object.entries(places)) {
      const host = mainHost()
      t.teardown(() => host.remove())
      const main = read(host, 'main.cf')
      const done = await control(host, ['postfix', 'register', '--json'], {
        before,
        behind: 'cat /etc/postfix/main.cf',
      })
      t.equal(done.status, 1, name)
      t.match(done.results, [{ ok: false, outcome: 'failed' }], name)
      t.equal(done.rest, main, name)
      t.strictSame(
        fs
          .readdirSync(host.file('lib/univention-mtpolicyd'))
          .filter(one => one !== '.postfix.lock'),
        [],
        name,
      )
      t.notOk(
        fs.readdirSync(host.file('etc/postfix')).some(one => one.includes('mtpolicyd')),
        name,
      )
    }
  })

  await t.test('two commands at the same time register once', async t => {
    const host = mainHost()
    t.teardown(() => host.remove())
    const before = read(host, 'main.cf')
    const both = '("$@" > /run/second & "$@"; wait)'
    const script = ['sh', '-c', `${both}; echo; cat /run/second`, 'sh']
    const { stdout } = await host.run(
      [...script, process.execPath, CONTROL, 'postfix', 'register', '--json'],
      QUICK,
    )
    const outcomes = [...stdout.matchAll(/"outcome": "(\w+)"/g)].map(([, word]) => word)
    t.strictSame(outcomes.sort(), ['already', 'registered'])
    t.equal(read(host, 'main.cf').split('12345').length, 2, 'one item')
    const undo = await control(host, ['postfix', 'unregister', '--json'])
    t.match(undo.results, [{ ok: true, outcome: 'unregistered' }])
    t.equal(read(host, 'main.cf'), before)
  })

  await t.test('setting a port moves the items, also below another root', async t => {
    const host = mainHost()
    t.teardown(() => host.remove())
    const before = read(host, 'main.cf')
    await control(host, ['postfix', 'register', '--json'])
    const set = await control(host, ['set', 'mtpolicyd/port=12399'])
    t.equal(set.status, 0, set.stderr)
    t.match(read(host, 'main.cf'), 'inet:127.0.0.1:12399')
    await control(host, ['postfix', 'unregister', '--json'])
    t.equal(read(host, 'main.cf'), before)

    const here = files(t)
    // The path of a socket is limited to 107 characters.
    const root = fs.mkdtempSync(path.join(os.tmpdir(), 'root-'))
    t.teardown(() => fs.rmSync(root, { recursive: true }))
    fs.mkdirSync(path.join(root, 'etc/postfix'), { recursive: true })
    for (const name of ['main.cf', 'master.cf']) {
      fs.copyFileSync(path.join(here.directory, name), path.join(root, 'etc/postfix', name))
    }
    const elsewhere = async (...argv: string[]) => {
      const shim = path.join(here.directory, 'bin/postfix')
      fs.mkdirSync(path.dirname(shim), { recursive: true })
      fs.writeFileSync(shim, SHIM, { mode: 0o755 })
      const { status, stdout, stderr } = await runProgram([
        ...['env', `PATH=${path.dirname(shim)}:${process.env.PATH}`, process.execPath, CONTROL],
        ...['--root', root, ...argv],
      ])
      return { status, said: stdout + stderr }
    }
    const read2 = () =>
      ['main.cf', 'master.cf'].map(name =>
        fs.readFileSync(path.join(root, 'etc/postfix', name), 'latin1'),
      )
    t.match(await elsewhere('postfix', 'register'), { status: 0 })
    t.match(await elsewhere('set', 'mtpolicyd/port=12399'), { status: 0 })
    t.match(read2(), [/inet:127\.0\.0\.1:12399/, /inet:127\.0\.0\.1:12399/])
    t.notMatch(read2().join(), '12345')
    t.match(await elsewhere('postfix', 'status'), { status: 0 })
    t.match(await elsewhere('postfix', 'unregister'), { status: 0 })
    t.strictSame(read2(), Object.values(here.both()))
  })

  await t.test('a daemon that this Postfix cannot reach is not registered', async t => {
    const host = makeMailHost({
      ...filesOf(setup, 'postfix', certificate),
      'etc/postfix/main.cf': setup.mainCf.replace(/^inet_protocols.*$/m, 'inet_protocols = ipv4'),
    })
    t.teardown(() => host.remove())
    const before = read(host, 'main.cf')
    const { status, results } = await control(host, ['postfix', 'register', '--json'], {
      env: { MTPOLICYD_HOST: '::1' },
    })
    t.equal(status, 1)
    t.match(results, [{ ok: false, outcome: 'refused', coverage: 'none' }])
    t.match(results[0]?.reasons[0], /connects over IPv4 only .*listens on \[::1\]:12345/)
    t.equal(read(host, 'main.cf'), before)
  })
})

const CONTROL = path.join(import.meta.dirname, '../../daemon/cli/main.ts')
const SHIM = '#!/bin/sh\ncase "$*" in *check) exit 0 ;; esac\nexec /usr/sbin/postfix "$@"\n'
/** Precedes the real one in PATH, which takes seconds for `check`. */
const QUICK = {
  before: `mkdir -p /run/bin && printf '%s' '${SHIM.replaceAll("'", "'\\''")}' > /run/bin/postfix && chmod 755 /run/bin/postfix && PATH=/run/bin:$PATH`,
}

/** Runs mtpolicyctl on a host; the output of `behind` is returned as `rest`. */
async function control(
  host: MailHost,
  argv: readonly string[],
  { before, behind, env }: RunOptions & { readonly behind?: string } = {},
) {
  const program = [process.execPath, CONTROL, ...argv]
  const tail = `"$@"; code=$?; printf '\\n====\\n'; ${behind ?? ':'}; exit $code`
  const { status, stdout, stderr } = await host.run(['sh', '-c', tail, 'sh', ...program], {
    before: before === undefined ? QUICK.before : `${before} && ${QUICK.before}`,
    ...(env ? { env } : {}),
  })
  const [said = '', rest = ''] = stdout.split('\n====\n')
  const results: RegistrationResult[] = argv.includes('--json') && said ? JSON.parse(said) : []
  return { status, results, rest, stderr }
}

function read(host: MailHost, name: string): string {
  return fs.readFileSync(host.file(`etc/postfix/${name}`), 'latin1')
}
