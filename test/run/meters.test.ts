/** Meters: declared where they are counted, read in one place. */

import { closeSync, openSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { DROPPED_LINES, openDestination } from '../../daemon/log/destination.ts'
import { openMeters } from '../../daemon/run/meters.ts'

const RUNS = { name: 'plugin_runs', unit: 'runs', help: 'How often a plugin was run.' }
const CONNECTIONS = { name: 'connections', unit: 'connections', help: 'Open connections.' }

t.test('what was declared is read with its value, name by name', async t => {
  const meters = openMeters()
  let open = 1
  const one = meters.counter(RUNS, { plugin: 'a' })
  meters.gauge(CONNECTIONS, () => open)
  const two = meters.counter(RUNS, { plugin: 'b' })
  one.value++
  two.value += 3
  open = 2
  t.strictSame(meters.read(), [
    { ...RUNS, kind: 'counter', labels: { plugin: 'a' }, value: 1 },
    { ...RUNS, kind: 'counter', labels: { plugin: 'b' }, value: 3 },
    { ...CONNECTIONS, kind: 'gauge', labels: {}, value: 2 },
  ])
})

t.test('a counter that is asked for again goes on, a gauge is replaced', async t => {
  const meters = openMeters()
  meters.counter(RUNS, { plugin: 'a', host: 'x' }).value = 5
  t.equal(meters.counter(RUNS, { host: 'x', plugin: 'a' }).value, 5, 'after a reload')
  meters.gauge(CONNECTIONS, () => 1)
  meters.gauge(CONNECTIONS, () => 7)
  t.strictSame(
    meters.read().map(({ value }) => value),
    [5, 7],
  )
})

t.test('one name has one meaning', async t => {
  const meters = openMeters()
  meters.counter(RUNS)
  t.throws(() => meters.counter({ ...RUNS, unit: 'ms' }, { plugin: 'a' }), /declared in two ways/)
  t.throws(() => meters.gauge(RUNS, () => 1), /declared in two ways/)
  t.throws(() => meters.counter({ ...RUNS, name: 'Plugin runs' }), /is not the name of a meter/)
})

t.test('times and sizes are in seconds and bytes, and their names say so', async t => {
  const meters = openMeters()
  t.throws(() => meters.counter({ ...RUNS, unit: 'seconds' }), /must end with its unit/)
  t.throws(() => meters.counter({ ...RUNS, name: 'memory_bytes' }), /must end with its unit/)
  meters.gauge({ ...RUNS, name: 'memory_bytes', unit: 'bytes' }, () => 1)
})

t.test('what is not known now, or cannot be read, is left out; all else is told', async t => {
  const meters = openMeters()
  meters.total(RUNS, () => 3)
  meters.gauge({ ...CONNECTIONS, name: 'unknown' }, () => Number.NaN)
  meters.gauge({ ...CONNECTIONS, name: 'unreadable' }, () => {
    throw new Error('no such file')
  })
  t.strictSame(meters.read(), [{ ...RUNS, kind: 'counter', labels: {}, value: 3 }])
})

t.test('log lines that nobody reads are counted where they are dropped', async t => {
  const meters = openMeters()
  const folder = t.testdir()
  const file = openSync(join(folder, 'log'), 'w')
  const dropped = meters.counter(DROPPED_LINES)
  const destination = openDestination(file, count => `${count}\n`, { dropped })
  // All of one turn: nothing is written before its end.
  const line = `${'x'.repeat(1024 * 1024)}\n`
  for (let lines = 0; lines < 6; lines++) destination.write(line)
  t.equal(destination.dropped, dropped.value)
  t.match(meters.read(), [{ name: 'log_lines_dropped', unit: 'lines', value: dropped.value }])
  t.ok(dropped.value > 0)
  await destination.flush()
  closeSync(file)
})
