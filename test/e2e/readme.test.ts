/** Every command of the README is run, or the test says which one nobody runs. */

import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import t from 'tap'
import { dist, freePort, runProgram } from '../support/daemon.ts'

const top = join(import.meta.dirname, '../..')
/** What to do about a hacked account is done in tutorial.test.ts. */
const readme = readFileSync(join(top, 'README.md'), 'utf8').replace(
  /^## An account was hacked[\s\S]*?(?=^## )/m,
  '',
)
const commands = [...readme.matchAll(/^```sh\n([\s\S]*?)^```/gm)]
  .flatMap(([, block = '']) => block.split('\n'))
  .map(line => line.replace(/\s+#.*$/, '').trim())
  .filter(line => line !== '')

/** Run elsewhere: by every CI run itself, and by `make test-deb`. */
const ELSEWHERE = ['make test', 'make deb', 'apt install ./univention-mtpolicyd_*_amd64.deb']

t.test('make run listens, says in two lines how to try it, and both lines work', async t => {
  t.ok(commands.includes('make run'))
  const port = await freePort()
  const root = mkdtempSync(join(tmpdir(), 'mtpolicyd-run-'))
  const child = spawn('make', ['--no-print-directory', 'run', `RUN=${root}`], {
    cwd: top,
    env: { ...process.env, MTPOLICYD_PORT: String(port), MTPOLICYD_DEBUG: '2' },
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const ended = new Promise(resolve => child.once('exit', resolve))
  t.teardown(async () => {
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGTERM')
    await ended
    rmSync(root, { recursive: true, force: true })
  })
  const said: string[] = []
  createInterface({ input: child.stdout }).on('line', line => said.push(line))
  await new Promise<void>((resolve, reject) => {
    createInterface({ input: child.stderr }).on('line', line => {
      if (line.includes('Parent ready')) resolve()
    })
    child.once('exit', () => reject(new Error(`make run ended: ${said.join('\n')}`)))
  })
  const hints = said
    .map(line => /^\w.*: {2,}(.*)$/.exec(line)?.[1])
    .filter(line => line !== undefined)
  t.equal(hints.length, 2, said.join('\n'))
  const [ask = '', change = ''] = hints
  const shell = (line: string) => runProgram('sh', '-c', `cd '${top}' && ${line}`)
  const question = `${ask} -h localhost:${port}`
  t.match(await shell(question), { status: 0, stdout: 'dunno\n' })
  t.match(await shell(change), { status: 0 })
  t.match(await shell(question), { stdout: /^reject .*Daily limit of 2 recipients reached/ })
})

t.test('every mtpolicyctl line of the README works', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'mtpolicyd-readme-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const lines = commands.filter(line => line.startsWith('mtpolicyctl '))
  t.ok(lines.length >= 3)
  for (const line of lines) {
    const [, ...argv] = line.split(/\s+/)
    const { status, stderr } = await runProgram(
      join(dist, 'mtpolicyctl'),
      '--root',
      folder,
      ...argv,
    )
    // Nothing runs below this folder, and these say so.
    const isWeb = argv[0] === 'web' && argv[1] !== 'off'
    const isBad = ['status', 'doctor', 'alert'].includes(argv[0] ?? '') || isWeb
    t.equal(status, isBad ? 1 : 0, `${line}: ${stderr}`)
  }
})

t.test('no command of the README is left out', async t => {
  const run = (line: string): boolean => line === 'make run' || line.startsWith('mtpolicyctl ')
  t.same(
    commands.filter(line => !run(line) && !ELSEWHERE.includes(line)),
    [],
  )
})
