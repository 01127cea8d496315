/** Which log the daemon follows, as configurations come and go. */

import fs from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { ledgerSlot } from '../../daemon/ledger/slot.ts'
import type { OpenLog } from '../../daemon/log/logger.ts'
import { MailLog } from '../../daemon/run/mail-log.ts'
import { type Clock, systemClock } from '../../daemon/system/clock.ts'

const REFUSED =
  'mail postfix/cleanup[1]: ABCDEF0123: milter-reject: END-OF-MESSAGE from h[192.0.2.7]: 5.7.1 no; from=<a>\n'

/** A minute passes in half a second. */
const quickClock: Clock = {
  ...systemClock,
  after: (milliseconds, run) => systemClock.after(milliseconds / 120, run),
}

interface Place {
  readonly folder: string
  readonly mailLog: MailLog
  readonly errors: readonly string[]
  /** Waits until the status has these values. */
  becomes(expected: object): Promise<void>
}

function place(t: Test): Place {
  const folder = fs.mkdtempSync(join(tmpdir(), 'mail-log-'))
  const errors: string[] = []
  const silent = (): void => undefined
  const log: OpenLog = {
    debug: 1,
    error: message => void errors.push(message),
    warning: silent,
    notice: silent,
    event: silent,
    connection: silent,
    trace: silent,
    verdict: silent,
  }
  const mailLog = new MailLog({
    places: { files: ['mail.log', 'maillog'].map(name => join(folder, name)), journals: [] },
    clock: quickClock,
    // Not open: every refusal is one that cannot be given back, and is said to be.
    slot: ledgerSlot(),
    log: () => log,
  })
  t.teardown(async () => {
    await mailLog.stop()
    fs.rmSync(folder, { recursive: true })
  })
  return {
    folder,
    mailLog,
    errors,
    async becomes(expected) {
      const isSo = (): boolean =>
        Object.entries(expected).every(
          ([name, value]) =>
            Object.entries(mailLog.status()).find(([n]) => n === name)?.[1] === value,
        )
      for (let tries = 0; tries < 500 && !isSo(); tries++) await sleep(20)
      t.match(mailLog.status(), expected)
    },
  }
}

const now = (): string => new Date().toISOString()

t.test('a log is found as soon as it is there, and its refusals reach the ledger', async t => {
  const { folder, mailLog, errors, becomes } = place(t)
  await becomes({ state: 'off', setting: 'none', source: '', givenBack: 0 })
  mailLog.use('auto')
  await becomes({ state: 'unreadable', setting: 'auto' })
  const path = join(folder, 'mail.log')
  fs.writeFileSync(path, `${now()} ${REFUSED}`)
  await becomes({ state: 'reading', source: path, problem: undefined })
  for (let tries = 0; tries < 500 && errors.length === 0; tries++) await sleep(20)
  t.match(errors, [/^could not give back what Postfix refused: /])
})

t.test('another configuration names another log, or none', async t => {
  const { folder, mailLog, becomes } = place(t)
  const [one, two] = [join(folder, 'one'), join(folder, 'two')]
  fs.writeFileSync(one, '')
  mailLog.use(one)
  await becomes({ state: 'reading', setting: one, source: one })
  mailLog.use(two)
  await becomes({ state: 'unreadable', source: two, problem: 'no such file' })
  fs.writeFileSync(two, '')
  await becomes({ state: 'reading', source: two })
  mailLog.use('none')
  await becomes({ state: 'off', source: '' })
  await mailLog.stop()
  t.strictSame(openBelow(folder), [], 'nothing is left open')
})

t.test('a log that comes into use later replaces one that was found before', async t => {
  const { folder, mailLog, becomes } = place(t)
  const [first, second] = [join(folder, 'mail.log'), join(folder, 'maillog')]
  fs.writeFileSync(second, '')
  mailLog.use('auto')
  await becomes({ state: 'reading', source: second })
  fs.writeFileSync(first, '')
  await becomes({ state: 'reading', source: first })
  await mailLog.stop()
  t.strictSame(openBelow(folder), [])
})

t.test('changes one after the other end with the last one, and a stop with none', async t => {
  const { folder, mailLog, becomes } = place(t)
  const paths = ['a', 'b', 'c'].map(name => join(folder, name))
  for (const path of paths) fs.writeFileSync(path, '')
  for (const setting of [...paths, 'auto', 'none', ...paths]) mailLog.use(setting)
  await becomes({ state: 'reading', source: paths[2] })
  t.strictSame(openBelow(folder), [paths[2]])
  mailLog.use('auto')
  await mailLog.stop()
  t.strictSame(openBelow(folder), [])
  t.equal(mailLog.status().state, 'off')
})

/** Files below a folder that this process has open. */
function openBelow(folder: string): string[] {
  return fs.readdirSync('/proc/self/fd').flatMap(fd => {
    try {
      const path = fs.readlinkSync(join('/proc/self/fd', fd))
      return path.startsWith(`${folder}/`) ? [path] : []
    } catch {
      return []
    }
  })
}
