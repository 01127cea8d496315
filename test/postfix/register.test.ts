/**
 * Registration against a real, private Postfix (see test/support/postfix-rig.ts): every way in which
 * a plain Debian may be set up. What needs no Postfix is tested without one.
 */

import { createHash } from 'node:crypto'
import fs from 'node:fs'
import net from 'node:net'
import path from 'node:path'
import t from 'tap'
import { inspect } from '../../daemon/postfix/inspect.ts'
import { register, unregister } from '../../daemon/postfix/registration/register.ts'
import { restrictionItem } from '../../daemon/postfix/smtpd/endpoint.ts'
import { END_OF_DATA } from '../../daemon/postfix/smtpd/restriction-list.ts'
import { type Run, runProgram } from '../../daemon/system/external-program.ts'
import { runCommand } from '../support/command.ts'
import { createPostfixRig, type PostfixRig, postfixRigMissing } from '../support/postfix-rig.ts'
import { sendMail } from '../support/smtp-client.ts'

const endpoint = { host: 'localhost', port: 12345 }
const ITEM = restrictionItem({ kind: 'inet', host: '127.0.0.1', port: '12345' }, '3.7')
const BLANK_FREE = 'check_policy_service {inet:127.0.0.1:12345,default_action=DUNNO,timeout=5s}'
const noPostfix: Run = async () => ({ status: 127, stdout: '', stderr: '' })

const sha256 = (file: string) => createHash('sha256').update(fs.readFileSync(file)).digest('hex')

function command(run: Run, stateFile: string, port = 12345) {
  return async (...argv: string[]) => {
    let out = ''
    let err = ''
    const code = await runCommand(['postfix', ...argv], {
      root: '/nonexistent',
      out: text => {
        out += text
      },
      err: text => {
        err += text
      },
      postfix: () => ({ run, endpoint: { host: 'localhost', port }, stateFile }),
    })
    return { code, out, err }
  }
}

t.test('without Postfix every command reports that, and nothing is thrown', async t => {
  const stateFile = path.join(t.testdir(), 'state/postfix.json')
  const postfix = command(noPostfix, stateFile)
  const registered = await postfix('register')
  t.equal(registered.code, 1)
  t.match(registered.err, 'Postfix is not installed')
  t.equal((await postfix('unregister')).code, 0, 'there was nothing to undo')
  const status = await postfix('status', '--json')
  t.equal(status.code, 1)
  t.match(JSON.parse(status.out), [{ absent: /not installed/, isRunning: false }])
  t.notOk(fs.existsSync(stateFile))
})

t.test('wrong usage is exit 64, and shows how', async t => {
  const postfix = command(noPostfix, path.join(t.testdir(), 'postfix.json'))
  for (const argv of [[], ['restart'], ['register', 'now'], ['status', '--port=1']]) {
    const { code, err } = await postfix(...argv)
    t.equal(code, 64, argv.join(' '))
    t.match(err, /^mtpolicyctl( postfix \w+)?: .*\nSee mtpolicyctl( postfix \w+)? --help\.\n$/)
  }
  t.match(await postfix('--help'), { code: 0, out: /unregister/ })
})

t.test(
  'a record that another user can write is not trusted, but the item is removed all the same',
  async t => {
    const main = `a = 1\n${END_OF_DATA} = ${ITEM}\n`
    const record = {
      configDir: t.testdirName,
      parameter: 'a',
      endpoint,
      item: ITEM,
      inserted: 'a = 1\n',
      created: true,
      sha256Before: 'x',
      sha256After: 'y',
      savedCopy: 'evil',
    }
    const dir = t.testdir({
      'main.cf': main,
      'postfix.json': JSON.stringify({ registrations: [record] }),
    })
    const stateFile = path.join(dir, 'postfix.json')
    const options = { run: noPostfix, endpoint, stateFile, configDirs: [dir] }
    fs.chmodSync(stateFile, 0o666)
    t.match(await unregister(options), [{ outcome: 'unregistered', notes: [/not trusted/] }])
    t.equal(fs.readFileSync(path.join(dir, 'main.cf'), 'utf8'), 'a = 1\n')
    const nowhere = { ...options, configDirs: [path.join(dir, 'none')] }
    t.match(await unregister(nowhere), [{ outcome: 'failed', ok: false, reasons: [/not trusted/] }])
  },
)

// A dozen Postfix configurations, each checked several times by Postfix's own slow script.
t.setTimeout(300_000)
const skip = postfixRigMissing()
t.test('with a real Postfix', { skip }, async t => {
  const rig = await createPostfixRig()
  t.teardown(() => rig.remove())
  const stateFile = path.join(rig.directory, 'state/postfix.json')
  const configDirs = [rig.configDirectory]
  const run: Run = argv => {
    rig.cool()
    return runProgram(argv)
  }
  const options = { run, endpoint, stateFile, configDirs }
  // `postfix check` is slow: replaced where it is not the subject of the test.
  const unchecked: Run = async argv =>
    argv.at(-1) === 'check' ? { status: 0, stdout: '', stderr: '' } : run(argv)
  const quick = { ...options, run: unchecked }
  const stock = stockMainCf(rig)
  const master = fs.readFileSync(rig.masterCf, 'utf8')
  const services = (...lines: string[]) =>
    master.replaceAll(/(?<=smtpd_sasl_auth_enable=yes\n)/g, lines.map(l => `  -o ${l}\n`).join(''))
  // Written as a whole: an smtpd that starts and reads half a file exits, and master waits a
  // minute.
  const replace = (file: string, text: string) => {
    fs.writeFileSync(`${file}.new`, text)
    fs.renameSync(`${file}.new`, file)
  }
  const setUp = (mainCf: string, masterCf = master) => {
    replace(rig.mainCf, mainCf)
    replace(rig.masterCf, masterCf)
  }
  const check = async () => {
    const { status, stdout, stderr } = await run(['postfix', '-c', rig.configDirectory, 'check'])
    return `${status} ${stdout}${stderr}`
  }

  const debian12 = services(
    'smtpd_relay_restrictions=',
    'smtpd_recipient_restrictions=permit_sasl_authenticated,reject',
  )
  const debian11 = services(
    'smtpd_recipient_restrictions=',
    'smtpd_relay_restrictions=permit_sasl_authenticated,reject',
  )
  const mua = services(
    'smtpd_recipient_restrictions=$mua_recipient_restrictions',
    'smtpd_client_restrictions=$mua_client_restrictions',
  )
  const muaMain =
    'mua_recipient_restrictions = permit_sasl_authenticated, reject\nmua_client_restrictions =\n'
  const multiLine = `${END_OF_DATA} =
# what the last administrator left
    reject_unauth_pipelining,
  # indented
	check_client_access static:DUNNO
# end
`
  const starts: Record<string, [string, string?]> = {
    'stock main.cf': [stock],
    'stock main.cf without a line end at its end': [stock.trimEnd()],
    'the submission block of Debian 12': [stock, debian12],
    'the submission block of Debian 11 and before': [stock, debian11],
    'a submission block with $mua_ lists': [stock + muaMain, mua],
    'an end-of-data list on one line': [`${stock}${END_OF_DATA}=permit\nbiff = no\n`],
    'an end-of-data list over several lines, comments inside': [`${stock}${multiLine}biff = no\n`],
    'an empty end-of-data list': [`${stock}${END_OF_DATA} =  \n`],
    'an end-of-data list by reference': [`${stock}our_eod = permit\n${END_OF_DATA} = $our_eod\n`],
    'a service with its own list': [stock, services(`${END_OF_DATA}=reject_unauth_pipelining`)],
    'a re-injection service that wants none': [stock, services(`${END_OF_DATA}=`)],
    'two definitions': [`${END_OF_DATA} = reject\n${stock}${multiLine}`],
    'CRLF line ends': [`${stock}${multiLine}`.replaceAll('\n', '\r\n')],
    'Latin-1 in a comment': [`${stock}# f\u00fcr alle\n`],
  }
  // Postfix's own check is slow, so there is one of each kind.
  const CHECKED = [
    'stock main.cf',
    'an end-of-data list over several lines, comments inside',
    'a service with its own list',
    'two definitions',
  ]
  for (const [name, [mainCf, masterCf]] of Object.entries(starts)) {
    await t.test(`registers once and undoes it exactly: ${name}`, async t => {
      setUp('', masterCf)
      fs.writeFileSync(rig.mainCf, mainCf, 'latin1')
      const isChecked = CHECKED.includes(name)
      const how = isChecked ? options : quick
      fs.chmodSync(rig.mainCf, 0o640)
      const [mainBefore, masterBefore] = [sha256(rig.mainCf), sha256(rig.masterCf)]

      const [result] = await register(how)
      const isOwn = masterCf?.includes(`-o ${END_OF_DATA}`) ?? false
      const item = isOwn ? BLANK_FREE : ITEM
      t.match(result, { outcome: 'registered', ok: true, item, reloaded: false })
      t.match(result, { coverage: 'complete' })
      if (isOwn) t.equal(sha256(rig.mainCf), mainBefore, 'main.cf is not affected')
      else t.ok(rig.postconf('-h', END_OF_DATA).startsWith(ITEM), 'first in the list')
      // Postfix always complains about two definitions: register compares before and after.
      if (isChecked && name !== 'two definitions') {
        t.equal(await check(), '0 ', 'postfix check is silent')
      }
      const registered = [sha256(rig.mainCf), sha256(rig.masterCf)]
      t.equal(fs.statSync(rig.mainCf).mode & 0o777, 0o640, 'same mode')
      t.match(await inspect(options), [{ item, isRecorded: true, ok: true }])

      t.match(await register(how), [{ outcome: 'already', ok: true }])
      t.same([sha256(rig.mainCf), sha256(rig.masterCf)], registered, 'twice is once')

      const undo = name === 'two definitions' ? options : quick
      t.match(await unregister(undo), [{ outcome: 'unregistered', ok: true, reasons: [] }])
      t.equal(sha256(rig.mainCf), mainBefore, 'main.cf as before')
      t.equal(sha256(rig.masterCf), masterBefore, 'master.cf as before')
      t.equal(fs.statSync(rig.mainCf).mode & 0o777, 0o640, 'same mode')
      t.same(fs.readdirSync(path.dirname(stateFile)), [], 'no record or copy is left')
      t.match(await unregister(options), [{ outcome: 'nothing', ok: true }])
      t.equal(sha256(rig.mainCf), mainBefore)
    })
  }

  await t.test('an edit made in between stays, only our text is removed', async t => {
    for (const start of [stock, stock.trimEnd(), `${stock}${multiLine}`]) {
      setUp(start)
      await register(quick)
      rig.postconf('-e', 'message_size_limit = 4711')
      fs.appendFileSync(rig.mainCf, '# a remark at the end\n')
      const edited = fs.readFileSync(rig.mainCf, 'utf8')
      t.match(await unregister(quick), [{ outcome: 'unregistered', ok: true }])
      const left = fs.readFileSync(rig.mainCf, 'utf8')
      t.notMatch(left, '12345')
      t.equal(edited.length - left.length, removedLength(start), 'nothing but our text')
      t.equal(rig.postconf('-h', 'message_size_limit'), '4711\n')
      t.match(left, /# a remark at the end\n$/)
    }
  })

  await t.test('a list that somebody rewrote around our item keeps the rest', async t => {
    setUp(`${stock}${multiLine}`)
    await register(quick)
    rig.set(`${END_OF_DATA} = permit_mynetworks, check_policy_service inet:localhost:12345, reject`)
    t.match(await unregister(quick), [{ outcome: 'unregistered', ok: true }])
    t.equal(rig.postconf('-h', END_OF_DATA), 'permit_mynetworks, reject\n')
  })

  await t.test(
    'another port replaces the item, and the undo still restores the original',
    async t => {
      for (const start of [stock, `${stock}${multiLine}`]) {
        setUp(start)
        const before = sha256(rig.mainCf)
        await register(quick)
        const moved = { ...quick, endpoint: { host: 'localhost', port: 12399 } }
        t.match(await inspect(moved), [{ staleItem: ITEM }])
        t.match(await register(moved), [{ outcome: 'registered', ok: true }])
        const value = rig.postconf('-h', END_OF_DATA)
        t.match(value, 'inet:127.0.0.1:12399')
        t.notMatch(value, '12345', 'the old endpoint is gone')
        t.match(await unregister(moved), [{ outcome: 'unregistered', ok: true }])
        t.equal(sha256(rig.mainCf), before)
      }
    },
  )

  await t.test(
    "an administrator's own item is left as written, and reported at removal",
    async t => {
      setUp(`${stock}${END_OF_DATA} = check_policy_service inet:localhost:12345\n`)
      const before = sha256(rig.mainCf)
      t.match(await register(quick), [
        { outcome: 'already', item: 'check_policy_service inet:localhost:12345' },
      ])
      t.match(await inspect(quick), [{ isRecorded: false }])
      t.match(await unregister(quick), [{ ok: false, reasons: [/still queries the daemon/] }])
      t.equal(sha256(rig.mainCf), before)
    },
  )

  await t.test('a generated master.cf is left alone, and the suggested line works', async t => {
    const lists = [
      `${END_OF_DATA}=reject_unauth_pipelining`,
      `${END_OF_DATA}=$own`,
      `${END_OF_DATA}=`,
      `{ ${END_OF_DATA} = check_policy_service { inet:127.0.0.1:10031, default_action = 450 4.7.1 try later, timeout = 1s }, permit }`,
      `{ ${END_OF_DATA} = check_policy_service { inet:127.0.0.1:10031, { default_action = 450 4.7.1 try later }, timeout=1s }, permit }`,
    ]
    for (const list of lists) {
      // The fourth keeps smtpd from starting as it is: not for us to repair.
      if (list.includes('timeout = 1s')) continue
      const own = list.includes('$own') ? 'own = permit\n' : ''
      setUp(`${stock}${own}`, `# Ansible managed\n${services(list)}`)
      const before = sha256(rig.masterCf)
      const [result] = await register(quick)
      t.equal(sha256(rig.masterCf), before, list)
      t.match(result, { ok: false, coverage: 'none' })
      const line = result?.linesToAdd?.[0]?.line.trim().replace(/^-o /, '') ?? ''
      replace(rig.masterCf, services(line))
      t.match(await inspect(quick), [{ ok: true, coverage: 'complete' }], line)
      t.equal(await check(), '0 ', 'Postfix accepts it')
      await unregister(quick)
    }
    replace(rig.masterCf, master)
  })

  await t.test('a generated main.cf is left alone, and the line to add is printed', async t => {
    for (const header of [
      '# Warning: This file is auto-generated and might be overwritten by',
      '# Ansible managed: main.cf.j2',
      '# This file is managed by Puppet, DO NOT EDIT',
    ]) {
      setUp(`${header}\n${stock}`)
      const before = sha256(rig.mainCf)
      const postfix = command(unchecked, stateFile)
      const { code, err } = await postfix('register', '--config-dir', rig.configDirectory)
      t.equal(code, 1)
      t.equal(sha256(rig.mainCf), before)
      const line = /\n(smtpd_end_of_data_restrictions = [\s\S]*?)\n\n/.exec(err)?.[1] ?? ''
      fs.appendFileSync(rig.mainCf, `${line}\n`)
      t.match(await inspect(quick), [{ item: /default_action=DUNNO/ }], 'pasted, it works')
    }
  })

  await t.test('a change that Postfix complains about is undone at once', async t => {
    setUp(stock)
    const before = sha256(rig.mainCf)
    let edited = false
    const complaining: Run = async argv => {
      const said = await run(argv)
      edited ||= fs.readFileSync(rig.mainCf, 'utf8').includes('12345')
      const isCheck = argv.includes('check') && edited
      return isCheck ? { ...said, stderr: 'postfix: warning: something new\n' } : said
    }
    const [result] = await register({ ...options, run: complaining })
    t.match(result, {
      outcome: 'failed',
      ok: false,
      reasons: [/something new/, /: restored/, /no list queries the daemon/],
    })
    t.ok(edited, 'it had been in place')
    t.equal(sha256(rig.mainCf), before)
    t.same(fs.readdirSync(path.dirname(stateFile)), [], 'nothing is recorded')
  })

  await t.test('an instance without smtpd, or without a main.cf, is rejected', async t => {
    setUp(stock, master.replaceAll(/ smtpd$/gm, ' smtp'))
    t.match(await register(quick), [{ outcome: 'refused', reasons: [/no smtpd/] }])
    const empty = t.testdir()
    t.match(await register({ ...options, configDirs: [empty] }), [{ outcome: 'no-postfix' }])
  })

  await t.test(
    'a Postfix that was removed leaves its main.cf: our text is removed all the same',
    async t => {
      setUp(stock)
      const before = sha256(rig.mainCf)
      await register(quick)
      t.match(await unregister({ ...options, run: noPostfix }), [{ outcome: 'unregistered' }])
      t.equal(sha256(rig.mainCf), before)
    },
  )

  await t.test('the output fits on 80 columns', async t => {
    setUp(stock)
    const short = path.join(rig.directory, 'etc')
    const postfix = command(unchecked, stateFile)
    for (const verb of ['status', 'register', 'status', 'register', 'unregister']) {
      const { out, err } = await postfix(verb, '--config-dir', short)
      t.equal(err, '')
      t.match(out, short)
      for (const line of out.split('\n')) t.ok(line.length <= 80, line)
    }
    t.equal((await postfix('status', '--config-dir', short)).code, 1, 'not asked: exit 1')
  })

  await t.test(
    'a running Postfix is reloaded, and queries once per message with the correct count',
    async t => {
      const policy = await recordingPolicyServer()
      t.teardown(() => policy.close())
      const here = { ...quick, endpoint: { host: 'localhost', port: policy.port } }
      setUp(stock)
      await rig.start()
      for (const [name, block] of Object.entries({ none: master, debian12, debian11, mua })) {
        setUp(stock + muaMain, block)
        t.match(await register(here), [{ outcome: 'registered', reloaded: true }], name)
        await rig.reload()
        for (const localAddress of ['127.0.0.1', '127.0.0.2']) {
          policy.requests.length = 0
          const to = ['bob@example.net', 'carol@example.net', 'dave@example.org']
          const login = { user: rig.login('alice'), password: rig.password }
          const port = rig.ports.submission
          const sent = await sendMail({
            port,
            localAddress,
            ...login,
            from: 'alice@example.org',
            to,
          })
          t.ok(sent.accepted, `${name}: ${sent.last.text}`)
          t.match(policy.requests, [
            {
              protocol_state: 'END-OF-MESSAGE',
              recipient_count: '3',
              sasl_username: 'alice@mail.example.org',
            },
          ])
          t.equal(policy.requests.length, 1)
        }
        t.match(await unregister(here), [{ outcome: 'unregistered', reloaded: true }])
      }
      await rig.restart()
      policy.requests.length = 0
      const sent = await sendMail({
        port: rig.ports.smtp,
        from: 'a@example.net',
        to: 'b@example.org',
      })
      t.ok(sent.accepted)
      t.equal(policy.requests.length, 0, 'unregistered: not queried')
    },
  )
})

/** Debian's own main.cf, if there is one, with the rig's paths. */
function stockMainCf(rig: PostfixRig): string {
  const debian = '/usr/share/postfix/main.cf.debian'
  const stock = fs.existsSync(debian) ? fs.readFileSync(debian, 'utf8') : '# main.cf\n'
  const ours = fs.readFileSync(rig.mainCf, 'utf8').replace(/^compatibility_level.*\n/, '')
  const relay = 'permit_mynetworks permit_sasl_authenticated defer_unauth_destination'
  return `${stock.replace(/^biff.*\n/m, '')}smtpd_relay_restrictions = ${relay}\n${ours}`
}

function removedLength(start: string): number {
  return start.includes(END_OF_DATA) ? ` ${ITEM},`.length : `${END_OF_DATA} = ${ITEM}\n`.length
}

async function recordingPolicyServer() {
  const requests: Record<string, string>[] = []
  const server = net.createServer(socket => {
    let text = ''
    socket.on('error', () => socket.destroy())
    socket.on('data', chunk => {
      text += chunk.toString('latin1')
      for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
        const pairs = text.slice(0, end).split('\n')
        requests.push(Object.fromEntries(pairs.map(pair => pair.split(/=(.*)/s).slice(0, 2))))
        text = text.slice(end + 2)
        socket.write('action=dunno\n\n')
      }
    })
    sockets.add(socket)
  })
  const sockets = new Set<net.Socket>()
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  const close = () => {
    for (const socket of sockets) socket.destroy()
    server.close()
  }
  return { port: address.port, requests, close }
}
