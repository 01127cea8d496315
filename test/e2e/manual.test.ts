/** What the manual says: everything has its page, and every example and command works. */

import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { commands } from '../../daemon/cli/commands.ts'
import { daemonOptions } from '../../daemon/cli/options.ts'
import { globalSettings } from '../../daemon/config/globals.ts'
import { parseConfig } from '../../daemon/config/parser.ts'
import { plugins } from '../../daemon/plugins/index.ts'
import { declarations, isPattern } from '../../daemon/registry/variables.ts'
import { filled } from '../../daemon/text/wrap.ts'
import { allPages, pageFile, pageName, writeManual } from '../../scripts/man-pages.ts'
import { manPage } from '../../scripts/roff.ts'
import { askPort, dist, freePort, installDaemon, runProgram } from '../support/daemon.ts'
import { makeWorld } from '../support/world.ts'

const top = join(import.meta.dirname, '../..')
const pages = allPages()
const quickStart = readFileSync(join(top, 'debian/README.Debian'), 'utf8')

function pageOf(name: string): { text: string } {
  const page = pages.find(one => one.name === name)
  if (!page) throw new Error(`there is no page ${name}`)
  return page
}

/** The indented blocks of a text, without their indentation. */
function examplesOf(text: string): string[] {
  return (text.match(/(?:^(?: {2}.*)?\n)*^ {2}.*$/gm) ?? []).map(block => {
    const lines = block.split('\n').filter(line => line.trim() !== '')
    const least = Math.min(...lines.map(line => line.search(/\S/)))
    return lines.map(line => line.slice(least)).join('\n')
  })
}

/** Commands as somebody would type them; a line that ends with | or \ goes on in the next. */
function commandsOf(text: string): string[] {
  return examplesOf(text)
    .flatMap(block =>
      block.replace(/([|\\])\n\s*/g, (_, end) => (end === '|' ? '| ' : '')).split('\n'),
    )
    .filter(line => /^(mtpolicyctl|mtpolicyd|policyd-client|printf|grep|journalctl) /.test(line))
}

t.test('every command, option, variable and plugin has its words in the manual', async t => {
  const control = pageOf('mtpolicyctl').text
  for (const { name, options } of commands) {
    t.match(control, `: \`${name}\``, name)
    for (const [option, { isHidden }] of Object.entries(options)) {
      if (!isHidden) t.match(control, `\`--${option}\``, `${name} --${option}`)
    }
  }
  for (const { name, json, options } of commands) {
    t.equal(json !== undefined, 'json' in options, `${name}: --json and what it prints`)
    if (json !== undefined) t.match(control, `: \`${name}\`\n${filled(json)}`)
  }
  for (const option of Object.keys(daemonOptions).filter(name => name !== 'dump_vhosts')) {
    t.match(pageOf('mtpolicyd').text, `\`--${option}\``)
  }
  for (const option of Object.keys(globalSettings)) {
    t.match(pageOf('mtpolicyd.conf').text, `\n: \`${option}\` = `)
  }
  for (const { name } of declarations) {
    const [before = ''] = name.split('.*')
    t.match(pageOf('mtpolicyd-variables').text, `\n: \`${before}\``, name)
  }
  for (const plugin of plugins) {
    const { text } = pageOf(pageName(plugin))
    for (const option of Object.keys(plugin.settings)) t.match(text, `: \`${option}\` = `)
    t.match(pageOf('mtpolicyd.conf').text, `${pageName(plugin)}(7)`)
  }
})

t.test('every command is a file of its own, named as it, and in the list', async t => {
  const files = readdirSync(join(top, 'daemon/cli/commands')).toSorted()
  t.strictSame(files, commands.map(({ name }) => `${name.replace(' ', '-')}.ts`).toSorted())
})

t.test('no page points to one that is missing', async t => {
  const ours = new Set(pages.map(({ name, section }) => `${name}(${section})`))
  for (const { name, text } of pages) {
    for (const [reference] of text.matchAll(/\b(?:mtpolicy[\w.-]*|policyd-client)\(\d\)/g)) {
      t.ok(ours.has(reference), `${name} points to ${reference}`)
    }
  }
  for (const [reference] of quickStart.matchAll(/\b(?:mtpolicy[\w.-]*)\(\d\)/g)) {
    t.ok(ours.has(reference), `README.Debian points to ${reference}`)
  }
})

t.test(
  'what mtpolicyd does otherwise is the last section of a plugin’s page, as a list',
  async t => {
    for (const plugin of plugins) {
      const { text } = pageOf(pageName(plugin))
      const [description = '', differences] = text.split('\n# DIFFERENCES FROM MTPOLICYD\n')
      t.notMatch(description, /\bDifferences from mtpolicyd\b/, plugin.name)
      t.notMatch(text, /^- /m, 'a list has asterisks')
      if (differences !== undefined) t.match(differences, /^\n\* [^#]+\n# SEE ALSO\n/, plugin.name)
    }
  },
)

t.test('the same sources give the same pages, with the date of the changelog', async t => {
  const folder = t.testdir()
  writeManual(folder)
  const written = /^ -- .*> {2}(.+)$/m.exec(
    readFileSync(join(top, 'debian/changelog'), 'utf8'),
  )?.[1]
  const day = new Date(written ?? '').toISOString().slice(0, 10)
  for (const page of pages) {
    const text = readFileSync(join(folder, 'man', pageFile(page)), 'utf8')
    t.equal(text, manPage(page))
    t.match(text, `"${day}"`)
    t.match(text, /^[\n -~]*$/, `${page.name} is ASCII`)
  }
})

/** Letters that a terminal without UTF-8 has no substitute for. */
const FOREIGN = /[^ -~\n’“”×–→≥]/

t.test('groff and mandoc find nothing wrong, and no line is wider than 80 columns', async t => {
  const has = (program: string): boolean => spawnSync(program, ['--version']).error === undefined
  const hasMandoc = spawnSync('mandoc', [], { input: '' }).error === undefined
  if (!has('groff')) {
    if (process.env.CI) t.fail('groff is missing: apt install groff-base')
    else t.pass('', { skip: 'groff is not installed: the pages were not checked' })
    return
  }
  for (const page of pages) {
    const input = manPage(page)
    // An English page is to be read on every terminal, but for what it says about other languages.
    const device = FOREIGN.test(page.text) ? 'utf8' : 'ascii'
    const argv = ['-man', '-ww', `-T${device}`, '-P-c', '-P-b', '-P-o', '-P-u', '-rLL=79n']
    const { stdout, stderr } = spawnSync('groff', argv, { input, encoding: 'utf8' })
    t.equal(stderr, '', page.name)
    t.same(
      stdout.split('\n').filter(line => line.length > 80),
      [],
      `${page.name} is narrow`,
    )
    t.notMatch(stdout, /\{\{|\[u[0-9A-F]{4}\]|`/, `${page.name} has no leftovers of the markup`)
    if (hasMandoc) {
      const lint = spawnSync('mandoc', ['-T', 'lint', '-W', 'warning'], { input, encoding: 'utf8' })
      t.equal(lint.stdout, '', `${page.name}: mandoc`)
    }
  }
})

t.test('a page in German has its umlauts, on the terminal and in whatis(1)', async t => {
  const translated = pages.filter(({ language }) => language === 'de')
  t.ok(translated.length > 0)
  const has = (program: string): boolean => spawnSync(program, ['--version']).error === undefined
  for (const page of translated) {
    t.ok(
      pages.some(({ name, section, language }) => {
        return language === 'en' && name === page.name && section === page.section
      }),
      `${page.name} is there in English, too`,
    )
    const file = join(t.testdir({ page: manPage(page) }), 'page')
    if (has('groff')) {
      const argv = ['-man', '-Tutf8', '-P-c', '-P-b', '-P-o', '-P-u', file]
      const shown = spawnSync('groff', argv, { encoding: 'utf8' }).stdout
      t.match(shown, 'BEZEICHNUNG')
      const words = new Set(page.text.match(/[a-zäöüß]*[äöüß][a-zäöüß]*/gi))
      t.ok(words.size > 10)
      for (const word of words) t.ok(shown.includes(word), word)
    }
    if (!has('lexgrog')) continue
    const { stdout } = spawnSync('lexgrog', [file], { encoding: 'utf8' })
    t.equal(stdout, `${file}: "${page.name} - ${page.summary}"\n`)
  }
})

t.test('every configuration in mtpolicyd.conf(5) is understood', async t => {
  const examples = examplesOf(pageOf('mtpolicyd.conf').text)
  const whole = examples.find(text => text.startsWith('port = "127')) ?? ''
  const folder = t.testdir({ 'my.conf': `${whole}\n` })
  const check = await runProgram(join(dist, 'mtpolicyctl'), 'check', join(folder, 'my.conf'))
  t.match(check, { status: 0, stdout: /: nothing wrong\n$/ }, check.stderr)

  const parse = (text: string) => {
    const file = '/etc/mtpolicyd.conf'
    const { root, problems } = parseConfig(file, {
      read: path => (path === file ? `${text}\n` : ''),
      list: () => [],
    })
    t.same(
      problems.filter(({ message }) => !message.includes('more than once')),
      [],
      text,
    )
    return root
  }
  for (const example of examples) parse(example)
  const three = examples.find(text => text.startsWith('port = 12345')) ?? ''
  t.equal(three.split('\n').length, 3)
  for (const line of three.split('\n')) t.match(parse(line).options, [{ value: '12345' }])
  const document = examples.find(text => text.startsWith('description')) ?? ''
  t.match(parse(document).options, [{ name: 'description', value: 'first line\nsecond line' }])

  const isChain = (text: string): boolean => /^<Plugin \w+>/.test(text) && !text.includes('...')
  const isService = (text: string): boolean => /^<(Connection|SessionCache)/.test(text)
  const services = examples
    .filter(isService)
    .map(text => text.replace(/dbname=[^"]*/, 'dbname=:memory:'))
  t.equal(services.length, 5)
  const chains = examples.filter(isChain)
  t.equal(chains.length, 1)
  const world = await makeWorld(
    `${services.join('\n')}\n<VirtualHost 12345>\nname = x\n${chains.join('\n')}\n</VirtualHost>\n`,
  )
  t.teardown(() => world.close())
  t.same(world.messages, [])
  t.equal(await world.ask({ stress: 'yes' }), 'reject not today', 'uc_ takes the noted value')
})

/** These need a Postfix, a journal or a mail log; the package's own tests run them. */
const ELSEWHERE = /^(mtpolicyctl postfix (un)?register|journalctl|grep) ?/

t.test('every command of the manual and of the quick start works', async t => {
  const daemon = await installDaemon()
  t.teardown(() => daemon.remove())
  await daemon.start()
  const folder = t.testdir({
    'my.conf':
      examplesOf(pageOf('mtpolicyd.conf').text)
        .find(text => text.startsWith('port = "127'))
        ?.replaceAll('12345', String(await freePort())) ?? '',
  })
  const lines = [
    ...['mtpolicyctl', 'mtpolicyd', 'policyd-client', 'mtpolicyd-variables', 'mtpolicyd-limits']
      .map(name => pageOf(name).text)
      .flatMap(commandsOf),
    ...commandsOf(quickStart),
  ]
  t.ok(lines.length > 25, `${lines.length} commands`)
  const environment = { ...process.env, PATH: `${dist}:${process.env.PATH}` }
  for (const line of lines.filter(one => !ELSEWHERE.test(one))) {
    const here = line
      .replace(/^mtpolicyd -f/, "mtpolicyd --root '.' -f")
      .replace(/\bmtpolicyctl /, `mtpolicyctl --root '${daemon.root}' `)
      .replace('/etc/univention-mtpolicyd/', `${daemon.root}/etc/univention-mtpolicyd/`)
      .replace(/policyd-client$/, `policyd-client -h localhost:${daemon.port}`)
    if (/^mtpolicyd -f/.test(line)) {
      t.ok(await startsAndStops(here, folder, environment), line)
      continue
    }
    const { status, stdout, stderr } = spawnSync('sh', ['-c', here], {
      cwd: folder,
      env: environment,
      encoding: 'utf8',
    })
    // They say that there is no Postfix below this root, or that nothing was refused.
    const isBad = /^mtpolicyctl (?:status|doctor|why|test-message)\b/.test(line)
    t.equal(status, isBad ? 1 : 0, `${line}\n${stdout}${stderr}`)
    if (line.endsWith('policyd-client')) t.match(stdout, /^(dunno|reject .*)\n$/, line)
  }
})

/** True if it says that it listens, and ends well after SIGTERM. */
function startsAndStops(line: string, cwd: string, env: NodeJS.ProcessEnv): Promise<boolean> {
  const child = spawn('sh', ['-c', `exec ${line}`], {
    cwd,
    env,
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let log = ''
  child.stderr.setEncoding('utf8').on('data', text => {
    const isNew = !log.includes('ready')
    log += text
    if (isNew && log.includes('ready')) child.kill('SIGTERM')
  })
  return new Promise(resolve => child.once('exit', status => resolve(status === 0)))
}

t.test('the fields of a log line are those that the manual explains, in that order', async t => {
  const daemon = await installDaemon({
    'mtpolicyd/mode': 'observe',
    'mtpolicyd/threshold': '2',
    'mtpolicyd/allowedcountries': 'AT',
  })
  t.teardown(() => daemon.remove())
  await daemon.start()
  await askPort(daemon.port, {
    request: 'smtpd_access_policy',
    protocol_state: 'END-OF-MESSAGE',
    instance: 'a',
    client_address: '193.99.144.80',
    sasl_username: 'alice',
    recipient_count: '3',
    size: '100',
  })
  await daemon.stop()
  const line =
    daemon
      .log()
      .split('\n')
      .find(one => one.includes('instance=a')) ?? ''
  const fields = [...line.matchAll(/ (\w+)=(?:"(?:[^"\\]|\\.)*"|\S*)/g)]
    .map(match => match[1])
    // It has come near its limit by being beyond it.
    .filter(name => name !== 'near')
  t.ok(fields.includes('observed') && fields.includes('country'), line)
  // The command of mtpolicyd-limits(7) that lists who was refused because of the country.
  const [lister = ''] = examplesOf(pageOf('mtpolicyd-limits').text).filter(text =>
    text.includes('by=countries'),
  )
  const log = join(
    t.testdir({ 'mail.log': `Nov 20 12:00:00 mail mtpolicyd[1]: ${line}\n` }),
    'mail.log',
  )
  const listed = spawnSync('sh', ['-c', lister.replace('/var/log/mail.log', log)], {
    encoding: 'utf8',
  })
  t.match(listed.stdout, /^ *1 user=alice client=193\.99\.144\.80 country=DE\n$/)
  const section = /^# THE LOG\n([\s\S]*?)^# /m.exec(pageOf('mtpolicyd').text)?.[1] ?? ''
  const inManual = [...section.matchAll(/^: (.*)$/gm)].flatMap(([, terms = '']) =>
    [...terms.matchAll(/`(\w+)`/g)].map(match => match[1]),
  )
  // Only of a refusal with a history, and where Postfix was told something else than what was decided:
  // test/policy/refusal-codes.test.ts.
  const unusual = ['code', 'why', 'decided']
  const verdict = inManual.indexOf('verdict')
  t.same(inManual.slice(verdict + 1, verdict + 4), unusual)
  // Only of a message that comes near a limit: test/plugins/limits-manual.test.ts.
  // Only for an account that has a measure: test/run/measures.test.ts.
  const seldom = ['near', 'measure']
  const always = inManual
    .toSpliced(verdict + 1, 3)
    .filter(name => name === undefined || !seldom.includes(name))
  t.same(always, fields)
  const list = /^Reading the log\n([\s\S]*?)^A field/m.exec(quickStart)?.[1] ?? ''
  t.same(
    [...list.matchAll(/^ {4}(\w+) {2,}\S/gm)].map(match => match[1]),
    fields,
  )
})

/** What bash offers for a line with the cursor at its end. */
function offered(program: string, line: string): string[] {
  const script = `
    source '${dist}/bash-completion/${program}'
    COMP_LINE='${line}' COMP_POINT=${line.length}
    ${program.startsWith('policyd') ? '_policyd_client' : `_${program}`}
    printf '%s\\n' "\${COMPREPLY[@]}"`
  const env = { ...process.env, PATH: `${dist}:${process.env.PATH}` }
  return execFileSync('bash', ['-c', script], { encoding: 'utf8', env }).split('\n').filter(Boolean)
}

t.test('the shell offers what there is', async t => {
  const words = new Set(commands.map(({ name }) => name.split(' ')[0] ?? ''))
  const first = offered('mtpolicyctl', 'mtpolicyctl ')
  for (const word of words) t.ok(first.includes(word), word)
  t.same(offered('mtpolicyctl', 'mtpolicyctl che'), ['check'])
  t.same(offered('mtpolicyctl', 'mtpolicyctl --root /tmp postfix re'), ['register'])
  t.same(offered('mtpolicyctl', 'mtpolicyctl ucr '), ['setup', 'remove'])
  t.same(offered('mtpolicyctl', 'mtpolicyctl ucr setup '), [])
  t.same(offered('mtpolicyctl', 'mtpolicyctl postfix --config-dir /tmp s'), ['status'])
  t.same(offered('mtpolicyctl', 'mtpolicyctl ready --w'), ['--wait'])
  t.same(offered('mtpolicyctl', 'mtpolicyctl status --j'), ['--json'])
  t.same(offered('mtpolicyctl', 'mtpolicyctl commit --'), ['--force-template', '--help'])
  const [gotten, settable] = ['get', 'set'].map(verb =>
    offered('mtpolicyctl', `mtpolicyctl ${verb} mtpolicyd/`),
  )
  for (const { name } of declarations.filter(one => !isPattern(one.name))) {
    t.ok(gotten?.includes(name), name)
    t.ok(settable?.includes(`${name}=`), name)
  }
  t.same(offered('mtpolicyctl', 'mtpolicyctl set mtpolicyd/mo'), ['mtpolicyd/mode='])
  t.same(offered('mtpolicyctl', 'mtpolicyctl set mtpolicyd/mode='), ['enforce', 'observe'])
  t.same(offered('mtpolicyctl', 'mtpolicyctl set mtpolicyd/mode=o'), ['observe'])
  t.same(offered('mtpolicyctl', 'mtpolicyctl set mtpolicyd/debug='), ['0', '1', '2', '3', '4'])
  t.same(offered('mtpolicyctl', 'mtpolicyctl set mtpolicyd/user/bob/'), [
    'mtpolicyd/user/bob/threshold=',
    'mtpolicyd/user/bob/threshold/rolling=',
    'mtpolicyd/user/bob/threshold/hour=',
    'mtpolicyd/user/bob/threshold/minute=',
    'mtpolicyd/user/bob/threshold/message=',
    'mtpolicyd/user/bob/allowedcountries=',
    'mtpolicyd/user/bob/allowednetworks=',
  ])
  t.same(offered('mtpolicyctl', 'mtpolicyctl set mtpolicyd/domain/example.org/t'), [
    'mtpolicyd/domain/example.org/threshold=',
    'mtpolicyd/domain/example.org/threshold/hour=',
  ])
  t.same(offered('mtpolicyctl', 'mtpolicyctl set mtpolicyd/maillog='), ['auto', 'none', 'journal'])
  t.same(offered('mtpolicyctl', 'mtpolicyctl set mtpolicyd/user/bob/threshold=u'), ['unlimited'])
  t.same(offered('mtpolicyd', 'mtpolicyd --log'), ['--loglevel'])
  t.same(offered('mtpolicyd', 'mtpolicyd -l '), ['1', '2', '3', '4'])
  t.same(offered('policyd-client', 'policyd-client --s'), ['--socket_path'])

  const folder = mkdtempSync(join(tmpdir(), 'mtpolicyd-complete-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  mkdirSync(join(folder, 'some'))
  writeFileSync(join(folder, 'some.conf'), '')
  t.same(offered('mtpolicyd', `mtpolicyd -f -c ${folder}/some.`), [join(folder, 'some.conf')])
  t.same(offered('mtpolicyctl', `mtpolicyctl check ${folder}/some.`), [join(folder, 'some.conf')])
  t.same(offered('mtpolicyctl', `mtpolicyctl --root ${folder}/`), [join(folder, 'some')])
})
