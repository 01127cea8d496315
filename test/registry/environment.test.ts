import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { formatProblem } from '../../daemon/policy/problem.ts'
import { environmentName, readEnvironment } from '../../daemon/registry/environment.ts'
import { openRegistry } from '../../daemon/registry/registry.ts'
import { declarations } from '../../daemon/registry/variables.ts'

t.test('each variable has one name in the environment', async t => {
  t.equal(environmentName('mtpolicyd/log/format'), 'MTPOLICYD_LOG_FORMAT')
  const names = declarations.map(({ name }) => environmentName(name))
  t.equal(new Set(names).size, names.length)
})

t.test('the environment overrides /etc/default, which overrides stored values', async t => {
  const root = t.testdir({
    etc: {
      default: {
        'univention-mtpolicyd':
          '# for the container\nMTPOLICYD_THRESHOLD=200\nexport MTPOLICYD_DEBUG="3"\nOTHER=1\n',
      },
      'univention-mtpolicyd': {
        registry: {
          'base.conf':
            '# univention_ base.conf\n\nmtpolicyd/debug: 2\nmtpolicyd/host: 127.0.0.2\nmtpolicyd/threshold: 50',
        },
      },
    },
  })
  const env = { MTPOLICYD_THRESHOLD: '300', MTPOLICYD_ALLOWEDCOUNTRIES: 'de, at', PATH: '/bin' }
  const registry = openRegistry({ root, env })
  const values = registry.values()
  t.equal(values.get('mtpolicyd/threshold'), '300')
  t.equal(values.get('mtpolicyd/debug'), '3')
  t.equal(values.get('mtpolicyd/host'), '127.0.0.2')
  t.equal(values.get('mtpolicyd/allowedcountries'), 'DE,AT')
  t.equal(values.get('mtpolicyd/port'), '12345')
  t.equal(
    registry.snapshot().merged.get('mtpolicyd/threshold'),
    '50',
    'the registry is not touched',
  )
})

t.test('a bad value or a misspelt name in the environment is reported with its place', async t => {
  const file = join(t.testdir(), 'etc/default/univention-mtpolicyd')
  mkdirSync(join(file, '..'), { recursive: true })
  writeFileSync(file, 'MTPOLICYD_PORT=12345\n\n  MTPOLICYD_THRESHOLD=many\nMTPOLICYD_TRESHOLD=5\n')
  const { values, problems } = readEnvironment(declarations, { MTPOLICYD_DEBUG: '9' }, file)
  t.strictSame([...values], [['mtpolicyd/port', '12345']])
  t.strictSame(problems.map(formatProblem), [
    `${file}:3:3: error: MTPOLICYD_THRESHOLD=many: expected a whole number from 0 to 1000000000, or unlimited; the value below it is used`,
    `${file}:4:1: warning: MTPOLICYD_TRESHOLD is not a variable of this package and is ignored; did you mean MTPOLICYD_THRESHOLD?`,
    'environment variable MTPOLICYD_DEBUG:1:1: error: MTPOLICYD_DEBUG=9: expected a whole number from 0 to 4; the value below it is used',
  ])
})

t.test('host and port are not taken from the environment if systemd has the sockets', async t => {
  const root = t.testdir({
    etc: { default: { 'univention-mtpolicyd': 'MTPOLICYD_HOST=127.0.0.2\nMTPOLICYD_DEBUG=2\n' } },
  })
  const env = { MTPOLICYD_PORT: '12777' }
  const values = (systemdHasSockets?: boolean) =>
    openRegistry({ root, env, systemdHasSockets }).values()
  t.equal(values(true).get('mtpolicyd/port'), '12345')
  t.equal(values(true).get('mtpolicyd/host'), 'localhost')
  t.equal(values(true).get('mtpolicyd/debug'), '2', 'everything else is')
  t.equal(values().get('mtpolicyd/port'), '12777', 'below another root there is no systemd')
  t.equal(values(false).get('mtpolicyd/host'), '127.0.0.2')

  const { problems } = openRegistry({ root, env, systemdHasSockets: true }).environment()
  const lines = problems.map(formatProblem)
  t.equal(lines.length, 2)
  t.match(lines[0], /univention-mtpolicyd:1:1: warning: MTPOLICYD_HOST is ignored/)
  t.match(lines[1], /MTPOLICYD_PORT is ignored.*mtpolicyctl set mtpolicyd\/port=12777$/)
  t.same(openRegistry({ root, env }).environment().problems, [])
})
