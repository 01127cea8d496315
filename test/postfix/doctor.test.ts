/**
 * `mtpolicyctl doctor` on the set-ups of doctor-table.ts: each finding by its id, its place, its text.
 * No Postfix runs here; that they are wrong in fact is seen in doctor-in-fact.test.ts.
 */

import { spawnSync } from 'node:child_process'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import t, { type Test } from 'tap'
import { type Diagnosis, diagnose, doctorOutput, type ShownFinding } from '../support/diagnose.ts'
import { linesOf, paste, registerAll } from '../support/paste.ts'
import { type PolicyStub, policyStub } from '../support/policy-stub.ts'
import { fillIn, lanAddress, type Places, writeSetup } from '../support/postfix-setup.ts'
import { goodRows, leftOut, possible, type Row, rows } from './doctor-table.ts'

const PORT = 12_399
const base = fs.mkdtempSync(path.join(os.tmpdir(), 'doctor-'))
fs.chmodSync(base, 0o755)
t.teardown(() => fs.rmSync(base, { recursive: true, force: true }))

t.setTimeout(400_000)

const ERRORS =
  'not-asked broken-item behind-permit service-override unresolvable-host socket-unreachable wrong-endpoint warn-if-reject'.split(
    ' ',
  )

function placesOf(name: string): Places {
  const directory = path.join(base, name)
  fs.mkdirSync(directory)
  const ports = { SMTP: 25, SUBMISSION: 587, THIRD: 10_025 }
  const pem = '/etc/x.pem'
  return { directory, port: PORT, otherPort: 12_398, ...ports, pem, lan: lanAddress() }
}

const endpointsOf = (row: Row, places: Places) =>
  (row.listens ?? ['127.0.0.1:PORT', '[::1]:PORT']).map(text => fillIn(text, places))

const sockets: PolicyStub[] = []
t.teardown(() => sockets.forEach(stub => void stub.stop()))

async function make(row: Row, name: string) {
  const places = placesOf(name)
  const directories = writeSetup(row, places)
  const endpoints = endpointsOf(row, places)
  const paths = endpoints.filter(text => text.startsWith('/'))
  const stub = policyStub('DUNNO')
  if (paths.length > 0) sockets.push(stub)
  for (const socket of paths) await stub.listen(socket)
  return { places, directories, what: { directories, endpoints, state: base, port: PORT } }
}

/** The line that a place refers to. */
function lineOf({ where }: ShownFinding): string | undefined {
  const [, file = '', line = ''] = /^(\/.*):(\d+)$/.exec(where) ?? []
  return file === '' ? undefined : fs.readFileSync(file, 'latin1').split('\n')[Number(line) - 1]
}

function severityIsRight({ id, severity }: ShownFinding): boolean {
  if (id === 'wrong-stage') return severity !== 'note'
  return severity === (ERRORS.includes(id) ? 'error' : id === 'asked-twice' ? 'note' : 'warning')
}

const chosen = possible(rows).filter(row => !row.isRunning)

t.test('misconfigured set-ups are found by their ids', async t => {
  let found = 0
  for (const [number, row] of chosen.entries()) {
    const { places, what } = await make(row, `r${number}`)
    const findings = await diagnose(what)
    const name = `${row.finds[0]}: ${row.name}`
    const ids = findings.map(({ id }) => id).toSorted()
    t.strictSame(ids, [...row.finds].toSorted(), name)
    const main = findings.find(({ id }) => id === row.finds[0])
    if (main) found++
    for (const one of findings) {
      if (!severityIsRight(one)) t.fail(`${name}: ${one.id} is no ${one.severity}`)
      const isLine = /\.cf:\d+$/.test(one.where)
      if (isLine && !/\S/.test(lineOf(one) ?? '')) t.fail(`${name}: nothing at ${one.where}`)
    }
    if (main && row.at !== undefined) {
      t.match(lineOf(main), fillIn(row.at, places), `${name}: the line it points to`)
    }
  }
  t.comment(`${chosen.length} set-ups, ${found} found by id; left out: ${leftOut()}`)
})

t.test('good set-ups raise no warning', async t => {
  const folder = path.join(import.meta.dirname, '../fixtures/postfix-setups')
  const products = fs.readdirSync(folder).filter(name => !name.includes('.') || /\d\.\d/.test(name))
  let silent = 0
  const look = async (name: string, what: Diagnosis) => {
    const findings = await diagnose(what)
    const said = findings.map(
      ({ severity, id, where, what: text }) => `${severity} ${id} ${where}: ${text}`,
    )
    if (
      t.strictSame(
        said.filter(text => !text.startsWith('note')),
        [],
        name,
      )
    )
      silent++
    if (said.length > 0) t.comment(`${name}: ${said.join('; ')}`)
  }
  for (const product of products) {
    const directory = path.join(base, 'products', product)
    fs.cpSync(path.join(folder, product), directory, { recursive: true })
    const second = path.join(directory, 'postfix-msa')
    const main = path.join(directory, 'main.cf')
    const text = fs.readFileSync(main, 'latin1')
    fs.writeFileSync(main, text.replace('/etc/postfix-msa', second), 'latin1')
    const directories = fs.existsSync(second) ? [directory, second] : [directory]
    const endpoints = ['127.0.0.1:12399', '[::1]:12399']
    await registerAll(directories, endpoints)
    await look(product, { directories, endpoints, state: base, port: PORT })
  }
  for (const [number, row] of goodRows.entries()) {
    await look(row.name, (await make(row, `g${number}`)).what)
  }
  t.comment(`${products.length + goodRows.length} good set-ups, ${silent} without a warning`)
})

/**
 * After the remedy its finding is gone, no worse one has appeared, and Postfix does not complain.
 */
async function isMended(
  t: Test,
  name: string,
  what: Diagnosis,
  finding: ShownFinding,
  row: Row,
  act: () => unknown,
) {
  await act()
  const after = await diagnose(what)
  const same = after.filter(one => one.id === finding.id && one.service === finding.service)
  const left = same.map(one => `${one.where} ${one.what}`)
  const worse = after.filter(one => one.severity === 'error' && !row.finds.includes(one.id))
  t.strictSame([...left, ...worse.map(one => one.what)], [], `${name}: mended`)
}

t.test('the lines in a remedy work when they are pasted', async t => {
  let pasted = 0
  // Postfix has already read such lines.
  const tried = new Set<string>()
  let registered = 0
  for (const [number, row] of chosen.entries()) {
    const findings = await diagnose((await make(row, `p${number}`)).what)
    for (const [nth, finding] of findings.entries()) {
      const name = `${finding.id}: ${row.name}`
      const { what, directories, places } = await make(row, `p${number}-${nth}`)
      const moved = (text: string) => text.replaceAll(`/p${number}/`, `/p${number}-${nth}/`)
      const here = { ...finding, remedy: moved(finding.remedy), where: moved(finding.where) }
      const isThen = /register; then/.test(finding.remedy)
      if (linesOf(finding).length > 0) {
        await isMended(t, `${name}, by hand`, what, here, row, async () => {
          if (isThen) await registerAll(directories, what.endpoints)
          paste(here)
        })
        for (const directory of directories) {
          fs.utimesSync(path.join(directory, 'main.cf'), new Date(0), new Date(0))
          const key = here.remedy.replaceAll(places.directory, '')
          if (tried.has(key)) continue
          tried.add(key)
          const { stderr } = spawnSync('postconf', ['-c', directory, '-n'], { encoding: 'utf8' })
          const said = stderr.split('\n').filter(line => /fatal|missing|syntax|bad/.test(line))
          t.strictSame(said, [], `${name}: Postfix reads it`)
        }
        pasted++
      }
      if (/^mtpolicyctl postfix register/.test(finding.remedy) && !isThen) {
        const again = await make(row, `p${number}-${nth}r`)
        await isMended(t, `${name}, by register`, again.what, finding, row, () =>
          registerAll(again.directories, again.what.endpoints),
        )
        registered++
      }
    }
  }
  t.comment(`${pasted} remedies pasted, ${registered} registered`)
})

t.test('texts fit a terminal, in both languages', async t => {
  for (const row of chosen) {
    if (row.finds.includes('asked-twice')) continue
    const name = `t${chosen.indexOf(row)}`
    const { what } = await make(row, name)
    const [english, german] = [
      await doctorOutput(what, 'C'),
      await doctorOutput(what, 'de_DE.UTF-8'),
    ]
    for (const { out } of [english, german]) {
      // A path, or a word, may be longer.
      const long = out.split('\n').filter(line => line.length > 80 && /\S \S/.test(line.trim()))
      t.strictSame(long, [], `${row.finds[0]}: ${row.name}`)
    }
    t.match(english.out, /^(?:ERROR|WARNING) /)
    t.match(german.out, /^(?:FEHLER|WARNUNG) /)
    t.not(german.out, english.out)
  }
})
