/** A postmap that hangs or fails: whose time that costs. */

import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { postmapTable } from '../../daemon/lookup/postmap.ts'
import { virtualClock } from '../support/virtual-clock.ts'

/** A program that stands in for it; each run adds a line to `runs`. */
function pretend(t: Test) {
  const folder = t.testdir({ runs: '' })
  const { PATH } = process.env
  process.env.PATH = `${folder}:${PATH}`
  t.teardown(() => {
    process.env.PATH = PATH
  })
  const runs = join(folder, 'runs')
  return {
    runs: (): number => readFileSync(runs, 'utf8').length,
    as(script: string): void {
      const program = join(folder, 'postmap')
      writeFileSync(program, `#!/bin/sh\nprintf . >> ${runs}\n${script}\n`)
      chmodSync(program, 0o755)
    },
  }
}

t.test('one that hangs is killed, and everything that waits fails with it', async t => {
  const postmap = pretend(t)
  postmap.as('exec sleep 60')
  const clock = virtualClock()
  const table = postmapTable('tcp:192.0.2.1:1', clock)
  t.teardown(() => table.close())
  const ask = (key: string) =>
    Promise.resolve()
      .then(() => table.get(key))
      .catch(String)
  const asked = Array.from({ length: 300 }, (_, i) => ask(`key${i}`))
  while (postmap.runs() === 0) await new Promise(resolve => setTimeout(resolve, 5))
  await clock.advance(3000)
  const outcomes = new Set(await Promise.all(asked))
  t.strictSame(
    [...outcomes].filter(one => !/no answer within 3 s$|waiting 3 s in the queue$/.test(`${one}`)),
    [],
  )
  t.equal(postmap.runs(), 1)
  t.match(await ask('another'), /no answer within 3 s; not tried again for 6 s$/)
  await clock.advance(6000)
  postmap.as("sed 's/$/\\tvalue/'")
  const probe = ask('another')
  t.equal(await probe, 'value')
  t.equal(await ask('key1'), 'value')
  t.ok(clock.pending === 0, 'no timer is left behind')
})

t.test('one that fails is not run again for a second', async t => {
  const postmap = pretend(t)
  postmap.as('echo "postmap: fatal: no such table" >&2; exit 1')
  const clock = virtualClock()
  const table = postmapTable('tcp:192.0.2.1:1', clock)
  t.teardown(() => table.close())
  const ask = () =>
    Promise.resolve()
      .then(() => table.get('a'))
      .catch(String)
  const reason = /LookupError: tcp:192\.0\.2\.1:1: fatal: no such table/
  t.match(await ask(), reason)
  t.match(await ask(), /fatal: no such table; not tried again for 1 s$/)
  await clock.advance(1000)
  t.equal(postmap.runs(), 1)
  t.match(await ask(), reason)
  t.equal(postmap.runs(), 2)
})
