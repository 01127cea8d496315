/** What becomes of counts when their file cannot be used: stories that need a disk. The states are in footing.test.ts. */

import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  closeSync,
  cpSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import Database from 'better-sqlite3'
import t, { type Test } from 'tap'
import { ledgerSlot } from '../../daemon/ledger/slot.ts'
import type { Judgement, LedgerEvent } from '../../daemon/policy/ports/ledger.ts'

const now = Date.UTC(2026, 10, 20, 12)
const DAY = { name: '2026-11-20', endsAt: now + 1 }
const message = (
  instance: string,
  recipients: number,
  { limit = 3, account = 'alice' } = {},
): LedgerEvent => ({
  account,
  stage: 'END-OF-MESSAGE',
  instance,
  connection: 1,
  service: '192.0.2.1:587',
  recipient: '',
  recipients,
  bytes: 0,
  queueId: '',
  mostRecipients: Number.POSITIVE_INFINITY,
  now,
  claims: [
    { counter: 'limit', subject: account, window: DAY, unit: 'recipients', limit },
    {
      counter: 'hour',
      subject: account,
      window: { milliseconds: 3_600_000 },
      unit: 'recipients',
      limit,
    },
  ],
})

/** What was counted for an account, on the day and in the last hour, which is the same here. */
function used(t: Test, slot: Slot, account = 'alice'): unknown {
  const today = slot.ledger.used('limit', account, DAY, now)
  t.equal(slot.ledger.used('hour', account, { milliseconds: 3_600_000 }, now), today, 'in the hour')
  return today
}

type Slot = ReturnType<typeof ledgerSlot>

function opened(file: string, copyFolder?: string): Slot {
  const slot = ledgerSlot(copyFolder)
  slot.open(file, 'normal', now)
  return slot
}

const judge = (slot: Slot, instance: string, recipients: number): Judgement =>
  slot.ledger.judge(message(instance, recipients)) as Judgement

function hasThreeAfterRestart(t: Test, file: string): void {
  const again = opened(file)
  t.equal(again.problem, undefined)
  t.equal(used(t, again), 3)
  again.close()
}

t.test(
  'a damaged file is set aside under a name that tells when, and counting goes on',
  async t => {
    const folder = t.testdir()
    const file = join(folder, 'ledger.sqlite')
    writeFileSync(file, 'no database at all, but long enough to be taken for one'.repeat(200))
    const slot = opened(file)
    t.match(
      slot.problem,
      /^the ledger was damaged \(.*ledger\.sqlite\.damaged-2026-11-20T120000000Z\); there was no backup$/,
    )
    t.ok(readdirSync(folder).some(name => name.startsWith('ledger.sqlite.damaged-')))
    t.match(judge(slot, 'a', 3), { accepted: true })
    slot.ledger.settle()
    slot.close()
    hasThreeAfterRestart(t, file)
  },
)

t.test(
  'a file of a version that was never released is set aside, and so is its backup',
  async t => {
    const file = join(t.testdir(), 'ledger.sqlite')
    for (const path of [file, `${file}.backup`]) {
      const db = new Database(path)
      db.pragma('user_version = 1')
      db.close()
    }
    const slot = opened(file)
    t.match(slot.problem, /^the ledger and its backup were damaged \(.*\.damaged-/)
    t.match(judge(slot, 'a', 3), { accepted: true })
    slot.ledger.settle()
    slot.close()
  },
)

t.test('where nothing can be written the limit is enforced all the same, in memory', async t => {
  const folder = t.testdir({ state: 'a file where the directory should be' })
  const slot = opened(join(folder, 'state/ledger.sqlite'))
  t.match(slot.problem, /^cannot use the ledger \(.*\); counting continues in memory only$/)
  t.match(judge(slot, 'a', 3), { accepted: true })
  slot.ledger.settle()
  t.match(judge(slot, 'b', 1), { accepted: false, standings: [{ used: 3 }, { used: 3 }] })
  slot.close()
})

t.test('a file that another daemon has is refused', async t => {
  const file = join(t.testdir(), 'ledger.sqlite')
  const first = opened(file)
  t.throws(() => ledgerSlot().open(file, 'normal', now), /in use by another daemon/)
  first.close()
})

/** A backup by hand, or a curious administrator: a process that reads the file and goes on to. */
async function readerOf(t: Test, file: string): Promise<() => Promise<void>> {
  const program = `
    const db = new (require('better-sqlite3'))(process.argv[1])
    db.exec('BEGIN')
    db.prepare('SELECT count(*) FROM sums').get()
    console.log('reading')
    setInterval(() => undefined, 1000)`
  const child = spawn(process.execPath, ['-e', program, file], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = once(child, 'exit')
  const end = async (): Promise<void> => {
    child.kill()
    await ended
  }
  t.teardown(end)
  await once(child.stdout, 'data')
  return end
}

/** A ledger in which alice has two of three, as a kill -9 leaves it, and somebody reads it. */
async function readByOthers(t: Test, folder: string) {
  const file = join(folder, 'state/ledger.sqlite')
  const first = opened(file)
  judge(first, 'a', 1)
  first.ledger.judge(message('bob', 3, { account: 'bob' }))
  first.ledger.settle()
  while (first.fold());
  judge(first, 'b', 1)
  first.ledger.settle()
  // The first count is in the file or its log, the second in the journal.
  cpSync(join(folder, 'state'), join(folder, 'killed'), { recursive: true })
  first.close()
  const killed = join(folder, 'killed/ledger.sqlite')
  return { file: killed, copyFolder: join(folder, 'copyFolder'), hangUp: await readerOf(t, killed) }
}

t.test(
  'a file that another program reads at the start is continued in a copy, and merged later',
  async t => {
    const folder = t.testdir({ state: {} })
    const { file, copyFolder, hangUp } = await readByOthers(t, folder)
    const slot = opened(file, copyFolder)
    t.match(
      slot.problem,
      /^cannot write the ledger \(.* in use by another program\); counting continues in a temporary copy$/,
    )
    t.match(judge(slot, 'a', 1), { accepted: true, repeated: true }, 'messages are known, too')
    t.match(judge(slot, 'b', 1), { accepted: true, repeated: true })
    t.match(
      judge(slot, 'c', 2),
      { accepted: false, standings: [{ used: 2 }, { used: 2 }] },
      'the limit of 3 holds',
    )
    t.match(judge(slot, 'd', 1), { accepted: true, standings: [{ used: 3 }, { used: 3 }] })
    slot.ledger.settle()
    t.equal(await slot.recover(now), false, 'not yet')
    await hangUp()
    t.equal(await slot.recover(now), true)
    t.equal(slot.problem, undefined)
    t.same(readdirSync(folder), ['killed', 'state'], 'the copy is gone')
    cpSync(join(folder, 'killed'), join(folder, 'again'), { recursive: true })
    slot.close()
    const again = opened(join(folder, 'again/ledger.sqlite'))
    t.match(judge(again, 'd', 1), { accepted: true, repeated: true }, 'known after a kill -9')
    t.match(judge(again, 'a', 1), { accepted: true, repeated: true })
    t.equal(used(t, again), 3)
    again.close()
  },
)

t.test(
  'counts in a copy outlive the process, as long as the folder of the copy exists',
  async t => {
    const { file, copyFolder, hangUp } = await readByOthers(t, t.testdir({ state: {} }))
    const slot = opened(file, copyFolder)
    t.match(judge(slot, 'c', 1), { accepted: true, standings: [{ used: 3 }, { used: 3 }] })
    slot.ledger.settle()
    // It is killed; then it is stopped.
    cpSync(copyFolder, `${copyFolder}-2`, { recursive: true })
    slot.close()
    for (const kept of [`${copyFolder}-2`, copyFolder]) {
      const next = opened(file, kept)
      t.match(next.problem, /^cannot write the ledger \(.*in use by another.*temporary copy$/)
      t.match(judge(next, 'c', 1), { accepted: true, repeated: true })
      t.match(judge(next, `d of ${kept}`, 1), {
        accepted: false,
        standings: [{ used: 3 }, { used: 3 }],
      })
      next.close()
    }
    await hangUp()
    const last = opened(file, copyFolder)
    t.equal(last.problem, undefined, 'all is in the file again')
    t.notOk(existsSync(copyFolder))
    last.close()
    const again = opened(file)
    t.match(judge(again, 'c', 1), { accepted: true, repeated: true })
    t.equal(used(t, again), 3)
    t.equal(used(t, again, 'bob'), 3)
    again.close()
  },
)

t.test('counts in a copy are not merged into a file that has changed since', async t => {
  const { file, copyFolder, hangUp } = await readByOthers(t, t.testdir({ state: {} }))
  const slot = opened(file, copyFolder)
  judge(slot, 'c', 1)
  slot.ledger.settle()
  slot.close()
  await hangUp()
  const other = opened(file)
  judge(other, 'x', 1)
  other.ledger.settle()
  other.close()
  const next = opened(file, copyFolder)
  t.equal(next.problem, undefined)
  t.match(judge(next, 'x', 1), { repeated: true })
  t.match(judge(next, 'c', 1), { repeated: false })
  next.close()
})

t.test('two daemons do not count in one copy', async t => {
  const { file, copyFolder } = await readByOthers(t, t.testdir({ state: {} }))
  const slot = opened(file, copyFolder)
  t.throws(() => opened(file, copyFolder), /in use by another daemon/)
  t.match(
    judge(slot, 'c', 1),
    { accepted: true, standings: [{ used: 3 }, { used: 3 }] },
    'the first one goes on',
  )
  slot.close()
})

t.test('a file that is deleted while its copy is in use gets all counts back', async t => {
  const { file, copyFolder, hangUp } = await readByOthers(t, t.testdir({ state: {} }))
  const slot = opened(file, copyFolder)
  judge(slot, 'c', 1)
  slot.ledger.settle()
  await hangUp()
  rmSync(dirname(file), { recursive: true })
  t.equal(await slot.recover(now), true)
  t.equal(used(t, slot), 3)
  t.equal(used(t, slot, 'bob'), 3, 'nobody has asked about him since')
  slot.close()
})

t.test('pipes and folders beside the file do not prevent a copy', async t => {
  const { file, copyFolder } = await readByOthers(t, t.testdir({ state: {} }))
  spawnSync('mkfifo', [`${dirname(file)}/ledger.journal-7`])
  mkdirSync(`${dirname(file)}/ledger.journal-8`)
  const slot = opened(file, copyFolder)
  t.match(slot.problem, /temporary copy$/)
  t.equal(used(t, slot, 'bob'), 3)
  slot.close()
})

t.test('a request before the ledger is open fails that request, not the daemon', async t => {
  const slot = ledgerSlot()
  t.throws(() => slot.ledger.judge(message('a', 1)), { name: 'LookupError' })
  t.doesNotThrow(() => slot.ledger.disconnect(1))
})

t.test('when the file can be used again, counts in memory go into it', async t => {
  const folder = t.testdir({ state: 'a file where the directory should be' })
  const file = join(folder, 'state/ledger.sqlite')
  const slot = opened(file)
  judge(slot, 'a', 2)
  slot.ledger.settle()
  t.equal(await slot.recover(now), false, 'not yet')
  rmSync(join(folder, 'state'))
  t.equal(await slot.recover(now), true)
  t.equal(slot.problem, undefined)
  t.match(judge(slot, 'a', 2), { accepted: true, repeated: true }, 'the message is still known')
  t.match(judge(slot, 'b', 2), { accepted: false, standings: [{ used: 2 }, { used: 2 }] })
  judge(slot, 'c', 1)
  slot.ledger.settle()
  slot.close()
  const again = opened(file)
  t.equal(used(t, again), 3)
  again.close()
})

/** A folder with a ledger in which alice has one recipient, and its backup. */
async function withBackup(folder: string): Promise<string> {
  const file = join(folder, 'ledger.sqlite')
  const slot = opened(file)
  judge(slot, 'before', 1)
  slot.ledger.settle()
  while (slot.fold());
  await slot.backUp()
  slot.close()
  return file
}

/** Writes over everything but the first page. */
function damage(file: string): void {
  const { size } = statSync(file)
  const fd = openSync(file, 'r+')
  writeSync(fd, Buffer.alloc(size - 4096, 0x5a), 0, size - 4096, 4096)
}

t.test(
  'a file that turns out damaged is set aside, and nothing that is in memory is lost',
  async t => {
    const folder = t.testdir()
    const file = await withBackup(folder)
    execute(file, "UPDATE sums SET sums = x'ffffffff00'")
    const slot = opened(file)
    t.equal(slot.problem, undefined, 'the accounts of that day have not been used yet')
    t.throws(() => judge(slot, 'x', 1), { name: 'LookupError', message: /damaged/ })
    t.equal(await slot.recover(now), true)
    t.match(slot.problem, /^the ledger was damaged \(.*\); the backup of 20\d\d-.* is in use$/)
    t.match(
      judge(slot, 'y', 3),
      { accepted: false, standings: [{ used: 1 }, { used: 1 }] },
      'the backup has the counts of before',
    )
    t.match(judge(slot, 'z', 2), { accepted: true, standings: [{ used: 3 }, { used: 3 }] })
    slot.ledger.settle()
    slot.close()
    t.ok(readdirSync(folder).some(name => name.includes('.damaged-')))
    hasThreeAfterRestart(t, file)
  },
)

t.test('a backup that is damaged as well is no reason to stop', async t => {
  const file = join(t.testdir(), 'ledger.sqlite')
  writeFileSync(file, 'no database at all, but long enough to be taken for one'.repeat(200))
  writeFileSync(`${file}.backup`, 'neither is this one'.repeat(500))
  const slot = opened(file)
  t.match(slot.problem, /^the ledger and its backup were damaged/)
  t.match(judge(slot, 'a', 3), { accepted: true })
  slot.ledger.settle()
  slot.close()
})

t.test('a backup that fails leaves the former one', async t => {
  const folder = t.testdir()
  const file = join(folder, 'ledger.sqlite')
  const slot = opened(file)
  judge(slot, 'a', 1)
  slot.ledger.settle()
  await slot.backUp()
  const before = statSync(`${file}.backup`).size
  t.ok(before > 0)
  renameSync(folder, `${folder}-gone`)
  await t.rejects(slot.backUp(), { name: 'LookupError' })
  renameSync(`${folder}-gone`, folder)
  t.equal(statSync(`${file}.backup`).size, before)
  t.same(
    readdirSync(folder).filter(name => name.endsWith('.new')),
    [],
  )
  slot.close()
})

t.test('a file, or its write-ahead log, that is deleted at work is written again', async t => {
  const folder = t.testdir()
  const file = join(folder, 'ledger.sqlite')
  const slot = opened(file)
  let sum = 0
  for (const gone of [`${file}-wal`, file]) {
    judge(slot, `before ${gone}`, 1)
    slot.ledger.settle()
    sum++
    t.equal(await slot.recover(now), false, 'all is well')
    rmSync(gone)
    t.equal(await slot.recover(now), true)
    t.match(slot.problem, /was deleted or replaced/)
    t.equal(used(t, slot), sum)
  }
  judge(slot, 'after', 1)
  slot.ledger.settle()
  slot.close()
  const again = opened(file)
  t.equal(used(t, again), 3)
  t.match(judge(again, 'after', 1), { accepted: true, repeated: true })
  again.close()
})

for (const what of ['its journal', 'the whole folder'] as const) {
  t.test(`${what} deleted before the first message after a start is written again`, async t => {
    const top = t.testdir()
    const folder = join(top, 'state')
    const file = join(folder, 'ledger.sqlite')
    const first = opened(file)
    judge(first, 'a', 1)
    first.ledger.settle()
    first.close()
    const slot = opened(file)
    if (what === 'its journal') rmSync(join(folder, 'ledger.journal-0'))
    else rmSync(folder, { recursive: true })
    t.equal(await slot.recover(now), true)
    t.match(slot.problem, /was deleted or replaced/)
    judge(slot, 'b', 2)
    slot.ledger.settle()
    // As after a kill -9: what is on the disk is all there is.
    const copy = join(top, 'copy')
    cpSync(folder, copy, { recursive: true })
    slot.close()
    const again = opened(join(copy, 'ledger.sqlite'))
    t.match(judge(again, 'a', 1), { repeated: true }, 'a message of before is known')
    t.equal(used(t, again), 3)
    again.close()
  })
}

t.test('a backup that cannot be restored yet is restored later', async t => {
  const folder = t.testdir()
  const file = await withBackup(folder)
  for (const name of readdirSync(folder)) if (name.includes('journal')) rmSync(join(folder, name))
  damage(file)
  renameSync(`${file}.backup`, `${file}.elsewhere`)
  mkdirSync(`${file}.backup`)
  const next = opened(file)
  t.match(next.problem, /counting continues in memory only$/)
  judge(next, 'x', 1)
  next.ledger.settle()
  t.equal(await next.recover(now), false, 'not yet')
  rmSync(`${file}.backup`, { recursive: true })
  renameSync(`${file}.elsewhere`, `${file}.backup`)
  t.equal(await next.recover(now), true)
  t.equal(used(t, next), 2, 'of before and of since')
  next.close()
})

t.test(
  'a page that is broken in the backup as well does not fill the disk with files set aside',
  async t => {
    const folder = t.testdir()
    const file = join(folder, 'ledger.sqlite')
    const slot = opened(file)
    judge(slot, 'before', 1)
    slot.ledger.settle()
    while (slot.fold());
    slot.close()
    const db = new Database(file)
    db.exec("UPDATE names SET names = x'ffffffff00'")
    db.close()
    cpSync(file, `${file}.backup`)
    slot.open(file, 'normal', now)
    let failures = 0
    for (let second = 0; second < 5; second++) {
      try {
        judge(slot, `m${second}`, 1)
        slot.ledger.settle()
      } catch {
        failures++
      }
      await slot.recover(now + second * 1000)
    }
    t.ok(failures <= 2, `${failures} could not be counted`)
    const aside = readdirSync(folder).filter(name => name.includes('damaged'))
    t.ok(aside.length <= 2, aside.join(' '))
    slot.close()
  },
)

t.test(
  'a client that disconnects while the file is damaged causes no error, and the file is repaired',
  async t => {
    const folder = t.testdir({ state: {} })
    const state = join(folder, 'state')
    const file = await withBackup(state)
    const db = new Database(file)
    db.exec("UPDATE sums SET sums = x'ffffffff00'")
    db.close()
    // It comes while a message is under way: its account has not been asked for in this file.
    renameSync(state, join(folder, 'away'))
    writeFileSync(state, 'a file where the directory should be')
    const slot = opened(file)
    slot.ledger.judge({ ...message('x', 1), stage: 'RCPT', recipient: 'bob@example.org' })
    t.same(slot.ledger.recipientOnlyServices(), ['192.0.2.1:587'], 'its recipients will be counted')
    rmSync(state)
    renameSync(join(folder, 'away'), state)
    t.equal(await slot.recover(now), true)
    t.equal(slot.problem, undefined, 'nobody has noticed')
    t.doesNotThrow(() => slot.ledger.disconnect(1))
    t.equal(await slot.recover(now), true, 'that was noticed')
    t.match(slot.problem, /^the ledger was damaged \(.*\); the backup of 20\d\d-.* is in use$/)
    t.match(
      judge(slot, 'y', 3),
      { accepted: false, standings: [{ used: 1 }, { used: 1 }] },
      'the backup has what was before',
    )
    t.match(judge(slot, 'z', 2), { accepted: true, standings: [{ used: 3 }, { used: 3 }] })
    slot.ledger.settle()
    t.equal(await slot.recover(now), false, 'all is well')
    slot.close()
  },
)

/** Writes over what a table of the file begins with. */
function damageTable(file: string, table: string): void {
  const db = new Database(file)
  const root = db.prepare('SELECT rootpage FROM sqlite_master WHERE name = ?').pluck().get(table)
  const size = Number(db.pragma('page_size', { simple: true }))
  db.close()
  const fd = openSync(file, 'r+')
  writeSync(fd, Buffer.alloc(size, 0x5a), 0, size, (Number(root) - 1) * size)
  closeSync(fd)
}

function dropTable(file: string, table: string): void {
  execute(file, `DROP TABLE ${table}`)
}

function emptyTable(file: string, table: string): void {
  execute(file, `DELETE FROM ${table}`)
}

function execute(file: string, statement: string): void {
  const db = new Database(file)
  db.exec(statement)
  db.close()
}

// What is damaged in the others is found when an account is asked for.
for (const [table, what, spoil] of [
  ['service', 'damaged', damageTable],
  ['seed', 'damaged', damageTable],
  ['folded', 'damaged', damageTable],
  ['seed', 'empty', emptyTable],
  ['sums', 'gone', dropTable],
  ['period', 'gone', dropTable],
] as const) {
  t.test(`a file whose table \`${table}\` is ${what} is set aside like any other`, async t => {
    const folder = t.testdir()
    const file = await withBackup(folder)
    spoil(file, table)
    const slot = opened(file)
    t.match(slot.problem, /^the ledger was damaged \(.*\); the backup of 20\d\d-.* is in use$/)
    t.ok(readdirSync(folder).some(name => name.includes('.damaged-')))
    t.match(
      judge(slot, 'y', 3),
      { accepted: false, standings: [{ used: 1 }, { used: 1 }] },
      'the backup has what was before',
    )
    t.match(judge(slot, 'z', 2), { accepted: true, standings: [{ used: 3 }, { used: 3 }] })
    slot.ledger.settle()
    slot.close()
    hasThreeAfterRestart(t, file)
  })
}

t.test('a backup whose table `service` is damaged as well is no reason to stop', async t => {
  const file = await withBackup(t.testdir())
  damageTable(file, 'service')
  cpSync(file, `${file}.backup`)
  const slot = ledgerSlot()
  t.doesNotThrow(() => slot.open(file, 'normal', now))
  t.match(slot.problem, /^the ledger and its backup were damaged/)
  t.match(judge(slot, 'a', 1), { accepted: true })
  slot.ledger.settle()
  slot.close()
})

t.test('a count is there after a kill, whatever the durability is, or becomes at work', async t => {
  const top = t.testdir()
  const folder = join(top, 'state')
  const slot = opened(join(folder, 'ledger.sqlite'))
  let counted = 0
  for (const durability of ['normal', 'full', 'normal', 'full'] as const) {
    slot.setDurability(durability)
    for (const instance of ['a', 'b']) {
      const event = message(`${instance}${counted++}`, 1, { limit: 100 })
      t.match(slot.ledger.judge(event), { accepted: true })
      slot.ledger.settle()
      t.equal(usedAfterKill(t, folder, join(top, `copy${counted}`)), counted)
    }
  }
  slot.close()
})

t.test('a file that is written again has the durability of that moment', async t => {
  const top = t.testdir()
  const folder = join(top, 'state')
  const file = join(folder, 'ledger.sqlite')
  const slot = opened(file)
  judge(slot, 'a', 1)
  slot.ledger.settle()
  rmSync(file)
  const recovered = slot.recover(now)
  // While it is being copied.
  slot.setDurability('full')
  t.equal(await recovered, true)
  t.match(judge(slot, 'b', 2), { accepted: true })
  slot.ledger.settle()
  t.equal(usedAfterKill(t, folder, join(top, 'copy')), 3)
  slot.close()
  hasThreeAfterRestart(t, file)
})

t.test('a damaged file on a disk that cannot be written is no reason not to start', async t => {
  const top = t.testdir()
  const folder = join(top, 'state')
  const file = await withBackup(folder)
  // Readable by others only; the copy has the damage too.
  damageTable(file, 'service')
  const hangUp = await readerOf(t, file)
  const slot = ledgerSlot(join(top, 'copy'))
  t.doesNotThrow(() => slot.open(file, 'normal', now))
  t.match(slot.problem, /counting continues in memory only$/)
  t.match(judge(slot, 'a', 2), { accepted: true, standings: [{ used: 2 }, { used: 2 }] })
  slot.ledger.settle()
  await hangUp()
  slot.close()
})

t.test(
  'no count is lost or made up while the file is deleted, blocked and recovered under load',
  async t => {
    const top = t.testdir()
    const state = join(top, 'state')
    const file = join(state, 'ledger.sqlite')
    const away = join(top, 'away')
    const slot = opened(file)
    /** What happens to the files before the nth recovery. */
    const happenings = [
      () => rmSync(file),
      () => rmSync(`${file}-wal`, { force: true }),
      () => rmSync(state, { recursive: true }),
      // Nothing can be written there, then it can.
      () => {
        rmSync(state, { recursive: true })
        writeFileSync(state, 'a file where the directory should be')
      },
      () => rmSync(state),
      () => renameSync(state, away),
      () => execute(file, 'SELECT 1'),
    ]
    let counted = 0
    const send = (): void => {
      for (let n = 0; n < 20; n++) {
        const event = message(`m${counted}`, 1, { limit: 1e6 })
        const { accepted, takeBack } = slot.ledger.judge(event) as Judgement
        if (!accepted) t.fail('refused')
        if (counted % 7 === 3) void takeBack()
        else counted++
      }
      try {
        slot.ledger.settle()
      } catch {
        // It is in memory, and written with the next.
      }
    }
    for (const happen of happenings) {
      send()
      try {
        happen()
      } catch {
        // It is not there, or in use.
      }
      const recovered = slot.recover(now).catch(() => false)
      for (let turn = 0; turn < 10; turn++) {
        send()
        await new Promise(resolve => setImmediate(resolve))
      }
      await recovered
      t.equal(used(t, slot), counted)
    }
    await slot.recover(now)
    slot.close()
    const again = opened(file)
    t.equal(used(t, again), counted)
    again.close()
  },
)

/** What alice has used, as a daemon finds it that starts after a kill at this moment. */
function usedAfterKill(t: Test, folder: string, copy: string): unknown {
  cpSync(folder, copy, { recursive: true })
  const next = opened(join(copy, 'ledger.sqlite'))
  const found = used(t, next)
  next.close()
  return found
}
