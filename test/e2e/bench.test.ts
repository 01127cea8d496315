/** `make bench` in its shortest form: it measures, its table is narrow, and all was counted. */

import { join } from 'node:path'
import t from 'tap'
import { compilers } from '../../bench/contest.ts'
import { missingPrograms } from '../../scripts/servers/server.ts'
import { runProgram } from '../support/daemon.ts'

const program = join(import.meta.dirname, '../../bench/bench.ts')
const hasCompiler = missingPrograms(compilers).length < compilers.length
if (!hasCompiler && process.env.CI) throw new Error('the load generator needs a C compiler')
const skip = !hasCompiler && 'the load generator needs a C compiler'

t.test('one case, and everything that was answered is counted', { skip }, async t => {
  const short = ['--seconds', '0.3', '--rounds', '1', '--only', '^16 connections']
  const { status, stdout, stderr } = await runProgram(process.execPath, program, ...short)
  t.equal(status, 0, `${stdout}${stderr}`)
  t.match(stdout, /^ +measured +asked$/m)
  const asked = [
    'speed, of the echo +[0-9.]+ % +>= 40 %',
    'speed, of the floor +[0-9.]+ % +>= 75 %',
  ]
  for (const row of [...asked, 'p99, of the floor +[0-9.]+ x +<= 1 x']) {
    t.match(stdout, new RegExp(`${row}  (ok|short)$`, 'm'))
  }
  const [, counted, answered] = /counted, of those answered +([\d,]+) +([\d,]+)/.exec(stdout) ?? []
  t.match(counted, /^[1-9]/)
  t.equal(counted, answered)
  for (const name of ['echo', 'floor', 'ours']) {
    t.match(stdout, new RegExp(`^  ${name}(?: +[\\d,]+){6}$`, 'm'), `the figures of ${name}`)
  }
  const wide = stdout.split('\n').filter(line => line.length > 80)
  t.same(wide, [], 'no line is wider than 80 columns')
})

t.test('a case that is not there', { skip }, async t => {
  const { status, stderr } = await runProgram(process.execPath, program, '--only', 'none such')
  t.equal(status, 64)
  t.match(stderr, /^ {2}16 connections$/m, 'those that are there are named')
})
