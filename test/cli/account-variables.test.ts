/** `limit` and `allow` without an end: host variables of one account, set as `set` does. */

import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { pathsBelow } from '../../daemon/assembly/paths.ts'
import { runCommand } from '../support/command.ts'

function host(t: Test) {
  const root = t.testdir()
  const { config } = pathsBelow(root)
  async function ctl(...words: string[]) {
    const [out, err]: [string[], string[]] = [[], []]
    const status = await runCommand(words, {
      ...{ root, out: text => out.push(text), err: text => err.push(text) },
    }).catch((error: Error) => {
      err.push(error.message)
      return 1
    })
    return { status, out: out.join(''), err: err.join('') }
  }
  return { root, config, ctl, rendered: () => readFileSync(config, 'utf8') }
}

t.test('a limit for good is the variable of the account and the window', async t => {
  const { ctl, config, rendered } = host(t)
  for (const [window, name] of [
    [[], 'threshold'],
    [['--window', 'hour'], 'threshold/hour'],
    [['--window', '1m'], 'threshold/minute'],
    [['--window', 'rolling'], 'threshold/rolling'],
    [['--window', 'message'], 'threshold/message'],
  ] as const) {
    const variable = `mtpolicyd/user/alice@example.org/${name}`
    t.strictSame(await ctl('limit', 'Alice@Example.org', '5000', ...window), {
      status: 0,
      out: `Create ${variable}\nFile: ${config}\nIn effect for good. To take it back:\n  mtpolicyctl unset ${variable}\n`,
      err: '',
    })
    t.equal((await ctl('get', variable)).out, '5000\n')
  }
  t.match(
    rendered(),
    /<User "?alice@example\.org"?>\n {6}threshold = 5000\n {6}most_recipients = 5000/,
  )
  t.strictSame(JSON.parse((await ctl('limit', 'a/b', 'Unlimited', '--json')).out), {
    variable: 'mtpolicyd/user/a^2Fb/threshold',
    value: 'unlimited',
  })
  t.match(rendered(), /<User "a\/b">\n {6}threshold = unlimited/)
})

t.test('what a variable cannot have is refused, and nothing is stored', async t => {
  const { ctl } = host(t)
  t.match(await ctl('limit', 'alice', '5', '--window', 'month'), {
    status: 64,
    err: /expected day, hour, minute, rolling,\s+message, or --until/,
  })
  t.match(await ctl('limit', 'a"b', '5'), { status: 2, err: /expected a user name without/ })
  t.match(await ctl('limit', 'alice', 'many'), { status: 2 })
  t.match(await ctl('allow', 'alice', '--countries', 'Spain'), {
    status: 2,
    err: /did you mean ES/,
  })
  t.equal((await ctl('search', '--brief', 'mtpolicyd/user/')).out.includes('alice'), false)
})

t.test('countries for good are added to those that the account has', async t => {
  const { ctl } = host(t)
  const variable = 'mtpolicyd/user/alice/allowedcountries'
  const allow = async (countries: string): Promise<string> => {
    const { status, err } = await ctl('allow', 'alice', '--countries', countries)
    t.equal(status, 0, err)
    return (await ctl('get', variable)).out.trim()
  }
  t.equal(await allow('es, pt'), 'DE,ES,PT')
  t.equal(await allow('FR,ES'), 'DE,ES,PT,FR')
  t.equal(await allow('*'), '*')
  t.equal(await allow('FR'), '*')
})

t.test('a hand-written configuration has no variables, and --until is named', async t => {
  const { ctl, config } = host(t)
  mkdirSync(join(config, '..'), { recursive: true })
  writeFileSync(config, 'port = 1\n')
  for (const words of [
    ['limit', 'alice', '5'],
    ['allow', 'alice', '--countries', 'ES'],
  ]) {
    t.match(await ctl(...words), {
      status: 1,
      out: '',
      err: /was written by hand, so host variables have no effect: .* add --until/,
    })
  }
  t.equal(readFileSync(config, 'utf8'), 'port = 1\n')
})

t.test('on a UCS server, ucr sets it', async t => {
  const { root, ctl } = host(t)
  const ucr = join(root, 'usr/sbin/ucr')
  mkdirSync(join(root, 'usr/sbin'), { recursive: true })
  mkdirSync(join(root, 'etc/univention'), { recursive: true })
  writeFileSync(join(root, 'etc/univention/base.conf'), '')
  writeFileSync(ucr, `#!/bin/sh\necho "$@" >> ${root}/called\n`)
  chmodSync(ucr, 0o755)
  const { status, err } = await ctl('limit', 'alice', '5')
  t.equal(status, 0, err)
  t.equal(readFileSync(join(root, 'called'), 'utf8'), 'set mtpolicyd/user/alice/threshold=5\n')
})

t.test('where no daemon runs, measures say so', async t => {
  const { ctl } = host(t)
  for (const words of [
    ['block', 'alice'],
    ['release', 'alice'],
    ['reset', 'alice'],
    ['measures'],
    ['limit', 'alice', '5', '--until', '+1d'],
    ['allow', 'alice', '--countries', 'ES', '--until', '+1d'],
  ]) {
    t.strictSame(await ctl(...words), { status: 1, out: '', err: 'the daemon is not running' })
  }
})
