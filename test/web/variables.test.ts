/** Variables in the console: what they are, whether a value fits, what a change would do, doing and undoing it. */

import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import t from 'tap'
import { commands } from '../../daemon/cli/commands.ts'
import type {
  CheckAnswer,
  PreviewAnswer,
  SetAnswer,
  UndoList,
  Variable,
  Variables,
} from '../../daemon/web/api.ts'
import { runCommand } from '../support/command.ts'
import { type ConsoleApi, consoleApi } from '../support/console-api.ts'

async function variable(console: ConsoleApi, name: string): Promise<Variable | undefined> {
  const { body } = await console.get<Variables>('variables')
  return body.variables.find(one => one.name === name)
}

t.test('each variable has its meaning, its value and the layer that it comes from', async t => {
  const console = await consoleApi(t, {
    variables: { 'mtpolicyd/threshold': '5', 'mtpolicyd/user/bob/threshold': '7' },
  })
  t.match(await variable(console, 'mtpolicyd/threshold'), {
    type: 'limit',
    default: '1000',
    value: '5',
    set: '5',
    layer: 'normal',
    isPattern: false,
    description: { en: /recipients/, de: /Empfänger/ },
  })
  t.match(await variable(console, 'mtpolicyd/language'), {
    value: '',
    layer: 'default',
    choices: ['en', 'de', 'fr'],
    emptyMeans: 'en',
  })
  t.match(await variable(console, 'mtpolicyd/user/.*/threshold'), { isPattern: true })
  t.match(await variable(console, 'mtpolicyd/user/bob/threshold'), {
    pattern: 'mtpolicyd/user/.*/threshold',
    value: '7',
    layer: 'normal',
  })
  const { body } = await console.get<Variables>('variables?search=L%C3%A4nder')
  t.ok(
    body.variables.some(one => one.name === 'mtpolicyd/allowedcountries'),
    'by German words',
  )
  t.notOk(body.variables.some(one => one.name === 'mtpolicyd/threshold'))
})

t.test('a value is checked as mtpolicyctl set checks it', async t => {
  const console = await consoleApi(t)
  const check = async (name: string, value: unknown) =>
    await console.post<CheckAnswer>('variables/check', { name, value })
  t.strictSame((await check('mtpolicyd/allowedcountries', 'de, at')).body, {
    ok: true,
    value: 'DE,AT',
  })
  t.match((await check('mtpolicyd/threshold', 'many')).body, {
    ok: false,
    expected: /whole number from 0 to/,
  })
  t.match((await check('mtpolicyd/user/Bob/threshold', '9')).body, { ok: true, value: '9' })
  for (const [name, value] of [
    ['hostname', 'x'],
    ['mtpolicyd/threshhold', '1'],
    ['mtpolicyd/user/.*/threshold', '1'],
    ['mtpolicyd/user//threshold', '1'],
    ['mtpolicyd/user/%22%3E/threshold', 'x'],
    ['mtpolicyd/maillog', '/x\n/y'],
    ['mtpolicyd/maillog', `/${'x'.repeat(10_000)}`],
  ] as const) {
    const { status, body } = await check(name, value)
    t.match({ status, body }, { status: 200, body: { ok: false } }, name)
  }
  for (const body of [{}, { name: 'mtpolicyd/threshold' }, { name: 'x', value: 1 }, [], 'x']) {
    t.equal((await console.post('variables/check', body)).status, 400, JSON.stringify(body))
  }
})

t.test('what a change would render is shown as a diff, and nothing is written', async t => {
  const console = await consoleApi(t, { variables: { 'mtpolicyd/threshold': '5' } })
  const before = readFileSync(console.paths.config, 'utf8')
  const preview = (changes: Record<string, unknown>) =>
    console.post<PreviewAnswer>('variables/preview', { changes })
  const { status, body } = await preview({ 'mtpolicyd/threshold': '200' })
  t.equal(status, 200)
  t.strictSame(
    body.files.map(({ file }) => file),
    [console.paths.config],
  )
  const diff = body.files[0]?.diff ?? ''
  t.match(diff, /^--- .*mtpolicyd\.conf\n\+\+\+ .*mtpolicyd\.conf\n@@ /)
  t.notMatch(diff, /crc32/, 'without the sums at its beginning')
  t.match(diff, /\n- *threshold = 5\n/)
  t.match(diff, /\n\+ *threshold = 200\n/)
  t.equal(body.canBeSet, true)
  t.equal(readFileSync(console.paths.config, 'utf8'), before)
  t.notOk(existsSync(`${console.paths.config}.staged`))

  const same = await preview({ 'mtpolicyd/threshold': '5' })
  t.strictSame(same.body.files, [], 'what is set already changes nothing')
  const host = await preview({ 'mtpolicyd/host': '0.0.0.0' })
  t.equal(host.body.canBeSet, false, 'two variables contradict each other')
  t.match(host.body.notices, [{ severity: 'error', message: /mtpolicyd\/clients/ }])
  for (const changes of [
    {},
    [],
    { 'mtpolicyd/threshold': 'many' },
    { 'mtpolicyd/threshold': 5 },
    { hostname: 'x' },
    { 'mtpolicyd/threshold': '1', hostname: null },
    { 'mtpolicyd/user/Bob/threshold': '1', 'mtpolicyd/user/bob/threshold': '2' },
    { 'mtpolicyd/alert/command': '/bin/sh' },
    { 'mtpolicyd/alert/webhook': 'http://169.254.169.254/latest/' },
    { 'mtpolicyd/alert/webhook': null },
  ]) {
    const answer = await console.post('variables/preview', { changes })
    t.equal(answer.status, 400, JSON.stringify(changes))
  }
})

t.test('variables are set, in force at once, and undone', async t => {
  const console = await consoleApi(t, {
    variables: { 'mtpolicyd/threshold': '5' },
    changes: 'by the program',
  })
  t.match(await console.mail({ recipient_count: '6' }), /^reject /)
  const set = await console.post<SetAnswer>('variables/set', {
    changes: { 'mtpolicyd/threshold': '50', 'mtpolicyd/threshold/hour': '40' },
  })
  t.equal(set.status, 200)
  t.match(set.body.change, {
    by: 'console (alice)',
    undone: false,
    values: [
      { name: 'mtpolicyd/threshold', before: '5', after: '50' },
      { name: 'mtpolicyd/threshold/hour', before: null, after: '40' },
    ],
  })
  t.equal(await console.mail({ recipient_count: '6' }), 'dunno', 'the daemon has reloaded')
  t.equal((await variable(console, 'mtpolicyd/threshold'))?.value, '50')
  const list = await console.get<UndoList>('variables/undo')
  t.strictSame(
    list.body.changes.map(one => one.id),
    [set.body.change.id],
  )
  const undone = await console.post<SetAnswer>('variables/undo', { id: set.body.change.id })
  t.equal(undone.status, 200)
  t.match(undone.body.change, { undone: true, undoneBy: 'console (alice)' })
  t.equal((await variable(console, 'mtpolicyd/threshold'))?.value, '5')
  t.equal((await variable(console, 'mtpolicyd/threshold/hour'))?.set, undefined)
  t.match(await console.mail({ recipient_count: '6' }), /^reject /)
  const again = await console.post('variables/undo', { id: set.body.change.id })
  t.equal(again.status, 409)
  t.equal((await console.post('variables/undo', { id: 'x' })).status, 400)
  t.equal((await console.post('variables/undo', {})).status, 400)
})

t.test('a change that was overtaken is not undone', async t => {
  const console = await consoleApi(t, { variables: { 'mtpolicyd/threshold': '5' } })
  const { body } = await console.post<SetAnswer>('variables/set', {
    changes: { 'mtpolicyd/threshold': '50' },
  })
  await console.ctl('set', 'mtpolicyd/threshold=60')
  const undone = await console.post('variables/undo', { id: body.change.id })
  t.equal(undone.status, 409)
  t.match(undone.body.error, /mtpolicyd\/threshold has been changed since/)
  t.equal((await variable(console, 'mtpolicyd/threshold'))?.value, '60')
})

t.test('a change that the configuration refuses changes nothing', async t => {
  const console = await consoleApi(t)
  const { status, body } = await console.post('variables/set', {
    changes: { 'mtpolicyd/host': '0.0.0.0' },
  })
  t.equal(status, 400)
  t.match(body.error, /mtpolicyd\/clients/)
  t.equal((await variable(console, 'mtpolicyd/host'))?.set, undefined)
  const list = await console.get<UndoList>('variables/undo')
  t.strictSame(list.body.changes, [])
})

t.test('a list of changes that was damaged is none', async t => {
  const console = await consoleApi(t)
  await console.post('variables/set', { changes: { 'mtpolicyd/threshold': '50' } })
  const file = `${console.paths.root}/etc/univention-mtpolicyd/registry/console-changes.json`
  t.ok(existsSync(file))
  writeFileSync(file, '[{"id": 5}')
  const { status, body } = await console.get<UndoList>('variables/undo')
  t.equal(status, 200)
  t.strictSame(body.changes, [])
  const set = await console.post('variables/set', { changes: { 'mtpolicyd/threshold': '51' } })
  t.equal(set.status, 200, 'and begins again')
})

t.test('where a socket of root is, it is asked', async t => {
  const console = await consoleApi(t, { changes: 'by the program' })
  const change = { id: 'x', at: 1, by: 'console (alice)', values: [], undone: false }
  const asked: string[] = []
  let answer = `${JSON.stringify({ ok: true, change, notices: [] })}\n`
  const server = createServer({ allowHalfOpen: true }, socket => {
    let text = ''
    socket.on('data', chunk => {
      text += String(chunk)
    })
    // As systemd's service: it reads to the end, and answers then.
    socket.on('end', () => {
      asked.push(text)
      socket.end(answer)
    })
  })
  await new Promise<void>(resolve => server.listen(console.paths.change, resolve))
  t.teardown(() => server.close())
  const changes = { 'mtpolicyd/threshold': '50', 'mtpolicyd/threshold/hour': null }
  const set = await console.post<SetAnswer>('variables/set', { changes })
  t.equal(set.status, 200)
  t.strictSame(set.body.change, change)
  t.strictSame(
    asked.map(text => JSON.parse(text)),
    [{ command: 'set', changes, by: 'console (alice)' }],
  )
  answer = ''
  const ended = await console.post('variables/set', { changes })
  t.equal(ended.status, 500)
  t.match(ended.body.error, /could not be set/)
})

t.test('the path of a webhook is its password: the console does not tell it', async t => {
  // Some of its characters are escaped in the configuration.
  const webhook = 'https://hooks.example.org/services/T0/B0/x$y%22z'
  const console = await consoleApi(t, {
    variables: {
      'mtpolicyd/alert/webhook': webhook,
      'mtpolicyd/alert/mail': 'none',
    },
  })
  t.match(await variable(console, 'mtpolicyd/alert/webhook'), {
    value: 'https://hooks.example.org/…',
    set: 'https://hooks.example.org/…',
    locked: /on the host only/,
  })
  // Lines beside a change are shown as well.
  const changes = { 'mtpolicyd/alert/webhook/format': 'slack' }
  const { body } = await console.post<PreviewAnswer>('variables/preview', { changes })
  t.match(body.files[0]?.diff, /hooks\.example\.org\/…/)
  t.match(body.files[0]?.diff, /\n\+.*slack/)
  const answers = [
    body,
    (await console.get('variables')).body,
    (await console.get('variables?search=webhook')).body,
    (await console.get('findings')).body,
    (await console.get('today')).body,
  ]
  // A change of a version that let the console set it.
  const values = [{ name: 'mtpolicyd/alert/webhook', before: webhook, after: null }]
  const file = `${console.paths.root}/etc/univention-mtpolicyd/registry/console-changes.json`
  writeFileSync(file, JSON.stringify([{ id: 'a', at: 1, by: 'root', values, undone: false }]))
  answers.push((await console.get('variables/undo')).body)
  t.equal((await console.post('variables/undo', { id: 'a' })).status, 409)
  for (const answer of answers) t.notMatch(JSON.stringify(answer), /services\/|T0/)
})

t.test('changes are made one after the other, and not very many wait for that', async t => {
  const console = await consoleApi(t, { changes: 'by the program' })
  let [atOnce, most, all] = [0, 0, 0]
  const root = createServer({ allowHalfOpen: true }, socket => {
    most = Math.max(most, ++atOnce)
    all++
    socket.resume()
    socket.once('end', () => {
      setTimeout(() => {
        atOnce--
        socket.end(`${JSON.stringify({ ok: false, status: 409, error: 'changed since' })}\n`)
      }, 5)
    })
  })
  await new Promise<void>(resolve => root.listen(console.paths.change, resolve))
  t.teardown(() => root.close())
  const changes = { 'mtpolicyd/threshold': '50' }
  const answers = await Promise.all(
    Array.from({ length: 60 }, () => console.post('variables/set', { changes })),
  )
  t.equal(most, 1, 'each is a process of root')
  const refused = answers.filter(({ status }) => status === 503)
  t.ok(refused.length > 0)
  t.match(refused[0]?.body, { error: /too much at once/ })
  t.equal(all + refused.length, 60)
  t.equal((await console.post('variables/set', { changes })).status, 409, 'it goes on')
})

t.test('serve-change refuses what is no request of the console', async t => {
  const console = await consoleApi(t)
  const command = commands.find(({ name }) => name === 'serve-change')
  t.equal(command?.group, 'package', 'not one for administrators')
  const serve = async (
    request: string,
  ): Promise<{ ok: boolean; status: number; error: string }> => {
    let text = ''
    const status = await runCommand(['serve-change'], {
      root: console.paths.root,
      read: () => request,
      out: more => {
        text += more
      },
    })
    t.equal(status, 0)
    t.match(text, /^[^\n]*\n$/, 'one line')
    return JSON.parse(text)
  }
  const by = 'console (alice)'
  const changes = { 'mtpolicyd/threshold': '50' }
  for (const request of [
    '',
    'x',
    '5',
    '{}',
    JSON.stringify({ command: 'set', changes }),
    JSON.stringify({ command: 'set', changes: { hostname: 'x' }, by }),
    JSON.stringify({ command: 'set', changes: { 'mtpolicyd/alert/command': '/bin/sh' }, by }),
    JSON.stringify({
      command: 'set',
      changes: { 'mtpolicyd/Alert//webhook': 'http://169.254.169.254/' },
      by,
    }),
    JSON.stringify({ command: 'reload', by }),
    JSON.stringify({ command: 'undo', by }),
    `{"by": "${'x'.repeat(1024 * 1024)}"}`,
  ]) {
    const answer = await serve(request)
    t.match(answer, { ok: false, status: 400 }, request.slice(0, 60))
  }
})
