/** A plugin of one's own: the manual's example, and what goes wrong with such files. */

import { spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { checkConfiguration } from '../../daemon/assembly/configuration.ts'
import { pathsBelow } from '../../daemon/assembly/paths.ts'
import { formatProblem } from '../../daemon/policy/problem.ts'
import { allPages } from '../../scripts/man-pages.ts'
import { askPort, dist, freePort, installDaemon, runProgram } from '../support/daemon.ts'

const top = join(import.meta.dirname, '../..')
const INSTALLED = '/usr/lib/univention-mtpolicyd/plugin-api'

/** The indented blocks of the page: the plugin, the block of a configuration, the JavaScript form. */
function examples(): { plugin: string; block: string; script: string } {
  const text = allPages().find(({ name }) => name === 'mtpolicyd-plugins')?.text ?? ''
  const blocks = (text.match(/(?:^(?: {2}.*)?\n)*^ {2}.*$/gm) ?? []).map(block =>
    block.replace(/^ {2}/gm, '').trim(),
  )
  const [plugin = '', block = '', script = ''] = blocks
  return { plugin, block, script }
}

function folderOf(root: string): string {
  const folder = join(root, 'etc/univention-mtpolicyd/plugins')
  mkdirSync(folder, { recursive: true })
  return folder
}

const ask = async (port: number, attributes: Record<string, string>): Promise<string> =>
  ((await askPort(port, attributes)) ?? '').replace(/^action=/, '')

const account = { request: 'smtpd_access_policy', sasl_username: 'alice' }

t.test('the example of the manual is 30 lines at most, and its types are right', async t => {
  const { plugin, script } = examples()
  t.ok(plugin.split('\n').length <= 30, `${plugin.split('\n').length} lines`)
  t.match(plugin, INSTALLED)
  const folder = t.testdir()
  const here = (text: string): string => text.replace(INSTALLED, join(dist, 'plugin-api'))
  writeFileSync(join(folder, 'closing-time.ts'), here(plugin))
  const js = here(script).replace('{ ... }', "{ name: 'A', summary: '', settings: {}, oops: 1 }")
  writeFileSync(join(folder, 'script.js'), js)
  const check = (file: string) =>
    spawnSync(
      process.execPath,
      [
        join(top, 'node_modules/typescript/lib/tsc.js'),
        ...'--ignoreConfig --noEmit --strict --allowJs --checkJs --module nodenext'.split(' '),
        ...`--target es2024 --typeRoots ${join(top, 'node_modules/@types')}`.split(' '),
        join(folder, file),
      ],
      { encoding: 'utf8', cwd: folder },
    )
  const right = check('closing-time.ts')
  t.equal(right.status, 0, right.stdout)
  const wrong = check('script.js')
  t.match(wrong.stdout, /oops|create/, 'and what is wrong in a script is seen by the editor')
})

t.test('the example of the manual keeps an account from sending at night', async t => {
  const daemon = await installDaemon()
  t.teardown(() => daemon.remove())
  const { plugin, block } = examples()
  const folder = folderOf(daemon.root)
  writeFileSync(join(folder, 'closing-time.ts'), plugin)
  const conf = (opens: number, closes: number): string => `
    port = ${daemon.port}
    <VirtualHost ${daemon.port}>
      name = mail
      ${block.replace(/opens = \d+/, `opens = ${opens}`).replace(/closes = \d+/, `closes = ${closes}`)}
    </VirtualHost>\n`
  const file = join(daemon.root, 'etc/univention-mtpolicyd/mtpolicyd.conf')
  writeFileSync(file, conf(0, 24))
  await daemon.start()
  t.equal(await ask(daemon.port, account), 'dunno', 'open all day')

  writeFileSync(file, conf(24, 24))
  t.match(await daemon.ctl('reload'), { status: 0 })
  t.equal(await ask(daemon.port, account), 'defer we are closed')
  t.equal(await ask(daemon.port, { ...account, sasl_username: '' }), 'dunno', 'mail from outside')

  writeFileSync(join(folder, 'closing-time.ts'), plugin.replace('we are', 'all is'))
  t.match(await daemon.ctl('reload'), { status: 0 })
  t.equal(await ask(daemon.port, account), 'defer all is closed', 'changed, reloaded')

  writeFileSync(join(folder, 'closing-time.ts'), 'export default () => { oops }')
  t.match(await daemon.ctl('reload'), { status: 1 })
  t.equal(await ask(daemon.port, account), 'defer all is closed', 'the old one stays')
  t.match((await daemon.ctl('check')).stderr, /closing-time\.ts:1:1: error: oops is not defined/)
})

t.test('a bug in a plugin of one’s own costs no mail', async t => {
  const daemon = await installDaemon()
  t.teardown(() => daemon.remove())
  const bug = `export default ({ definePlugin }) => definePlugin({
    name: 'Bug', summary: 'A bug.', settings: {}, create: () => () => null.oops })`
  writeFileSync(join(folderOf(daemon.root), 'bug.mjs'), bug)
  const file = join(daemon.root, 'etc/univention-mtpolicyd/mtpolicyd.conf')
  writeFileSync(
    file,
    `port = ${daemon.port}
     <VirtualHost ${daemon.port}>
       name = mail
       <Plugin bug>
         module = Bug
       </Plugin>
       <Plugin after>
         module = Action
         action = "reject the next one was asked"
       </Plugin>
     </VirtualHost>\n`,
  )
  await daemon.start()
  t.equal(await ask(daemon.port, account), 'reject the next one was asked')
  t.ok(await daemon.logged(/plugin bug failed: Cannot read properties of null/))
  t.match((await daemon.ctl('status')).stdout, /bug/)
})

t.test('what a plugin of one’s own notes in a wrong form is logged, and nothing else', async t => {
  const daemon = await installDaemon()
  t.teardown(() => daemon.remove())
  const odd = `export default ({ definePlugin, fact }) => definePlugin({
    name: 'Odd', summary: '.', settings: {},
    facts: { odd: fact('client', 'Whatever.'), never: fact('decision', 'Not noted.') }, create: () => (request, { facts }) => {
      facts.country = { toString: () => request.text('sasl_username') === 'bob' ? null.oops : 'DE' }
      facts.used = 5n
      facts.limit = null
      facts.undeclared = true
      facts.odd = true } })`
  writeFileSync(join(folderOf(daemon.root), 'odd.mjs'), odd)
  writeFileSync(
    join(daemon.root, 'etc/univention-mtpolicyd/mtpolicyd.conf'),
    `port = ${daemon.port}
     <VirtualHost ${daemon.port}>
       name = mail
       <Plugin odd>
         module = Odd
       </Plugin>
     </VirtualHost>\n`,
  )
  await daemon.start()
  for (const sasl_username of ['bob', 'alice']) {
    t.equal(await ask(daemon.port, { ...account, sasl_username }), 'dunno')
  }
  const line =
    /user=alice client="" country=DE odd=true rcpt=0 size=0 verdict=dunno by="" used=5 limit=null ms=\d/
  t.ok(await daemon.logged(line))
  t.notMatch(daemon.log(), /user=bob/, 'not even the beginning of a line')
})

t.test('what cannot be used is said at its file, and the others load', async t => {
  const root = t.testdir()
  const folder = folderOf(root)
  const good = (name: string): string =>
    `export default api => api.definePlugin({ name: '${name}', summary: '.', settings: {}, create: () => () => 'hold' })`
  writeFileSync(join(folder, 'a-syntax.ts'), 'export default (')
  writeFileSync(join(folder, 'b-nothing.js'), 'export const a = 1')
  writeFileSync(join(folder, 'c-no-plugin.js'), 'export default () => 7')
  writeFileSync(join(folder, 'd-taken.js'), good('Action'))
  writeFileSync(join(folder, 'e-open.js'), good('Open'))
  chmodSync(join(folder, 'e-open.js'), 0o666)
  writeFileSync(join(folder, 'f-good.js'), good('Good'))
  writeFileSync(join(folder, 'g-again.js'), good('Good'))
  writeFileSync(join(folder, 'notes.txt'), 'no plugin')
  writeFileSync(join(folder, 'types.d.ts'), 'no plugin')
  const conf = join(root, 'my.conf')
  writeFileSync(
    conf,
    `<VirtualHost 12345>\nname = x\n<Plugin a>\nmodule = Good\n</Plugin>\n</VirtualHost>\n`,
  )
  const problems = await checkConfiguration(pathsBelow(root), conf, undefined)
  const lines = problems.map(problem => formatProblem(problem).replace(`${folder}/`, ''))
  t.equal(lines.length, 6, lines.join('\n'))
  t.match(lines, [
    /^a-syntax\.ts:1:1: error: /,
    'b-nothing.js:1:1: error: expected "export default" with a function that takes the plugin API',
    'c-no-plugin.js:1:1: error: the function has to return what definePlugin returns',
    'd-taken.js:1:1: error: a plugin named "Action" exists already',
    /^e-open\.js:1:1: error: not loaded: .*e-open\.js is writable by users other than root/,
    'g-again.js:1:1: error: a plugin named "Good" exists already',
  ])
  chmodSync(folder, 0o777)
  const open = await checkConfiguration(pathsBelow(root), conf, undefined)
  t.equal(open.filter(({ message }) => message.startsWith('not loaded: ')).length, 7)
})

t.test('a task of a plugin is run by mtpolicyd --cron, and by its name alone', async t => {
  const root = t.testdir()
  const source = `import { appendFileSync } from 'node:fs'
    export default api => api.definePlugin({ name: 'Tidy', summary: '.', settings: { file: api.text({ doc: '.' }) },
      create({ file }, { atStart, atTask, path }) {
        atStart(() => appendFileSync(file, 'start '))
        atTask('hourly', () => appendFileSync(file, path + ' '))
        atTask('daily', () => { throw new api.LookupError('no broom') })
        return () => undefined
      } })`
  writeFileSync(join(folderOf(root), 'tidy.ts'), source)
  const conf = join(root, 'my.conf')
  const out = join(root, 'out')
  writeFileSync(
    conf,
    `port = ${await freePort()}
     <VirtualHost 12345>
       name = mail
       <Plugin outer>
         module = Condition
         key = sender
         match = x
         <Plugin inner>
           module = Tidy
           file = "${out}"
         </Plugin>
       </Plugin>
     </VirtualHost>\n`,
  )
  writeFileSync(out, '')
  const cron = (list: string) =>
    runProgram(join(dist, 'mtpolicyd'), '--root', root, '-c', conf, '--cron', list)
  t.match(await cron('weekly'), { status: 0, stderr: '' })
  t.match(await cron('HOURLY'), { status: 0 })
  t.equal(spawnSync('cat', [out], { encoding: 'utf8' }).stdout, '', 'nothing was to be done')
  t.match(await cron('hourly,weekly'), { status: 0 })
  t.equal(spawnSync('cat', [out], { encoding: 'utf8' }).stdout, 'start mail/outer/inner ')
  const failed = await cron('daily, hourly')
  t.match(failed, { status: 1, stderr: /plugin mail\/outer\/inner: no broom/ })
  t.match(spawnSync('cat', [out], { encoding: 'utf8' }).stdout, /inner start mail\/outer\/inner $/)
})
