/** What becomes of the counts when their file cannot be used. */

import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import fs, {
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
import { syncBuiltinESMExports } from 'node:module'
import { dirname, join } from 'node:path'
import Database from 'better-sqlite3'
import t, { type Test } from 'tap'
import { ledgerSlot } from '../../daemon/ledger-slot.ts'
import type { Judgement, LedgerEvent } from '../../daemon/policy/ledger.ts'
import { JOURNAL_FILE_BYTES } from '../../daemon/store/journal.ts'

const now = Date.UTC(2026, 10, 20, 12)
const message = (instance: string, recipients: number): LedgerEvent => ({
  scope: 'limit',
  account: 'alice',
  stage: 'END-OF-MESSAGE',
  instance,
  connection: 1,
  service: '192.0.2.1:587',
  recipient: '',
  recipients,
  limit: 3,
  day: { name: '2026-11-20', endsAt: now + 1 },
  now,
})
type Slot = ReturnType<typeof ledgerSlot>

function opened(file: string, spare?: string): Slot {
  const slot = ledgerSlot(spare)
  slot.open(file, 'normal', now)
  return slot
}

const judge = (slot: Slot, instance: string, recipients: number): Judgement =>
  slot.ledger.judge(message(instance, recipients)) as Judgement

function hasThreeAfterRestart(t: Test, file: string): void {
  const again = opened(file)
  t.equal(again.problem, undefined)
  t.equal(again.ledger.used('limit', 'alice', '2026-11-20'), 3)
  again.close()
}

t.test(
  'a damaged file is set aside under a name that tells when, and counting starts anew',
  async t => {
    const folder = t.testdir()
    const file = join(folder, 'ledger.sqlite')
    writeFileSync(file, 'no database at all, but long enough to be taken for one'.repeat(200))
    const slot = opened(file)
    t.match(slot.problem, /were damaged: .*ledger\.sqlite\.damaged-2026-11-20T120000000Z$/)
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
    t.match(slot.problem, /were damaged, and so was their backup: .*\.damaged-/)
    t.match(judge(slot, 'a', 3), { accepted: true })
    slot.ledger.settle()
    slot.close()
  },
)

t.test('where nothing can be written the limit holds all the same, in memory', async t => {
  const folder = t.testdir({ state: 'a file where the directory should be' })
  const slot = opened(join(folder, 'state/ledger.sqlite'))
  t.match(slot.problem, /^counts are in memory only: /)
  t.match(judge(slot, 'a', 3), { accepted: true })
  slot.ledger.settle()
  t.match(judge(slot, 'b', 1), { accepted: false, used: 3 })
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
  first.ledger.judge({ ...message('bob', 3), account: 'bob' })
  first.ledger.settle()
  while (first.forget('2026-01-01'));
  judge(first, 'b', 1)
  first.ledger.settle()
  // The first count is in the file or its log, the second in the journal.
  cpSync(join(folder, 'state'), join(folder, 'killed'), { recursive: true })
  first.close()
  const killed = join(folder, 'killed/ledger.sqlite')
  return { file: killed, spare: join(folder, 'spare'), hangUp: await readerOf(t, killed) }
}

t.test(
  'a file that somebody reads at the start is counted on in memory, and taken back',
  async t => {
    const folder = t.testdir({ state: {} })
    const { file, spare, hangUp } = await readByOthers(t, folder)
    const slot = opened(file, spare)
    t.match(
      slot.problem,
      /^counts are in memory only, with those of before: .* in use by another prog/,
    )
    t.match(judge(slot, 'a', 1), { accepted: true, repeated: true }, 'messages are known, too')
    t.match(judge(slot, 'b', 1), { accepted: true, repeated: true })
    t.match(judge(slot, 'c', 2), { accepted: false, used: 2 }, 'the limit of 3 holds')
    t.match(judge(slot, 'd', 1), { accepted: true, used: 3 })
    slot.ledger.settle()
    t.equal(await slot.mend(now), false, 'not yet')
    await hangUp()
    t.equal(await slot.mend(now), true)
    t.equal(slot.problem, undefined)
    t.same(readdirSync(folder), ['killed', 'state'], 'the copy is gone')
    cpSync(join(folder, 'killed'), join(folder, 'again'), { recursive: true })
    slot.close()
    const again = opened(join(folder, 'again/ledger.sqlite'))
    t.match(judge(again, 'd', 1), { accepted: true, repeated: true }, 'known after a kill -9')
    t.match(judge(again, 'a', 1), { accepted: true, repeated: true })
    t.equal(again.ledger.used('limit', 'alice', '2026-11-20'), 3)
    again.close()
  },
)

t.test('what was counted in memory outlives the process, as long as its folder does', async t => {
  const { file, spare, hangUp } = await readByOthers(t, t.testdir({ state: {} }))
  const slot = opened(file, spare)
  t.match(judge(slot, 'c', 1), { accepted: true, used: 3 })
  slot.ledger.settle()
  // It is killed; then it is stopped.
  cpSync(spare, `${spare}-2`, { recursive: true })
  slot.close()
  for (const kept of [`${spare}-2`, spare]) {
    const next = opened(file, kept)
    t.match(next.problem, /^counts are in memory only, with those of before: .*in use by another/)
    t.match(judge(next, 'c', 1), { accepted: true, repeated: true })
    t.match(judge(next, `d of ${kept}`, 1), { accepted: false, used: 3 })
    next.close()
  }
  await hangUp()
  const last = opened(file, spare)
  t.equal(last.problem, undefined, 'all is in the file again')
  t.notOk(existsSync(spare))
  last.close()
  const again = opened(file)
  t.match(judge(again, 'c', 1), { accepted: true, repeated: true })
  t.equal(again.ledger.used('limit', 'alice', '2026-11-20'), 3)
  t.equal(again.ledger.used('limit', 'bob', '2026-11-20'), 3)
  again.close()
})

t.test('what was counted in memory is nothing to a file that is another by now', async t => {
  const { file, spare, hangUp } = await readByOthers(t, t.testdir({ state: {} }))
  const slot = opened(file, spare)
  judge(slot, 'c', 1)
  slot.ledger.settle()
  slot.close()
  await hangUp()
  const other = opened(file)
  judge(other, 'x', 1)
  other.ledger.settle()
  other.close()
  const next = opened(file, spare)
  t.equal(next.problem, undefined)
  t.match(judge(next, 'x', 1), { repeated: true })
  t.match(judge(next, 'c', 1), { repeated: false })
  next.close()
})

t.test('two daemons do not count in one memory', async t => {
  const { file, spare } = await readByOthers(t, t.testdir({ state: {} }))
  const slot = opened(file, spare)
  t.throws(() => opened(file, spare), /in use by another daemon/)
  t.match(judge(slot, 'c', 1), { accepted: true, used: 3 }, 'the first one goes on')
  slot.close()
})

t.test(
  'a file that is deleted while its copy counts gets back what everybody has used',
  async t => {
    const { file, spare, hangUp } = await readByOthers(t, t.testdir({ state: {} }))
    const slot = opened(file, spare)
    judge(slot, 'c', 1)
    slot.ledger.settle()
    await hangUp()
    rmSync(dirname(file), { recursive: true })
    t.equal(await slot.mend(now), true)
    t.equal(slot.ledger.used('limit', 'alice', '2026-11-20'), 3)
    t.equal(slot.ledger.used('limit', 'bob', '2026-11-20'), 3, 'nobody has asked about him since')
    slot.close()
  },
)

t.test('pipes and folders beside the file keep nobody from copying it', async t => {
  const { file, spare } = await readByOthers(t, t.testdir({ state: {} }))
  spawnSync('mkfifo', [`${dirname(file)}/ledger.journal-7`])
  mkdirSync(`${dirname(file)}/ledger.journal-8`)
  const slot = opened(file, spare)
  t.match(slot.problem, /with those of before/)
  t.equal(slot.ledger.used('limit', 'bob', '2026-11-20'), 3)
  slot.close()
})

t.test('a question before the ledger is open fails the one who asks, not the daemon', async t => {
  const slot = ledgerSlot()
  t.throws(() => slot.ledger.judge(message('a', 1)), { name: 'LookupError' })
  t.doesNotThrow(() => slot.ledger.disconnect(1))
})

t.test('when the file can be used again, what was counted in memory is in it', async t => {
  const folder = t.testdir({ state: 'a file where the directory should be' })
  const file = join(folder, 'state/ledger.sqlite')
  const slot = opened(file)
  judge(slot, 'a', 2)
  slot.ledger.settle()
  t.equal(await slot.mend(now), false, 'not yet')
  rmSync(join(folder, 'state'))
  t.equal(await slot.mend(now), true)
  t.equal(slot.problem, undefined)
  t.match(judge(slot, 'a', 2), { accepted: true, repeated: true }, 'the message is still known')
  t.match(judge(slot, 'b', 2), { accepted: false, used: 2 })
  judge(slot, 'c', 1)
  slot.ledger.settle()
  slot.close()
  const again = opened(file)
  t.equal(again.ledger.used('limit', 'alice', '2026-11-20'), 3)
  again.close()
})

/** A folder with a ledger in which alice has one recipient, and its backup. */
async function withBackup(folder: string): Promise<string> {
  const file = join(folder, 'ledger.sqlite')
  const slot = opened(file)
  judge(slot, 'before', 1)
  slot.ledger.settle()
  while (slot.forget('2026-01-01'));
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

t.test('a file damaged at work is set aside, and nothing that is in memory is lost', async t => {
  const folder = t.testdir()
  // Folded, so that it is in the file alone.
  const file = await withBackup(folder)
  const slot = ledgerSlot()
  damage(file)
  slot.open(file, 'normal', now)
  let isFailing = false
  try {
    slot.ledger.judge({ ...message('x', 1), account: 'bob' })
    slot.ledger.settle()
  } catch {
    isFailing = true
  }
  t.equal(isFailing || /damaged/.test(slot.problem ?? ''), true, 'it was noticed')
  await slot.mend(now)
  t.match(slot.problem, /were damaged: .*; those of the backup of 20\d\d-.* are in force$/)
  t.match(judge(slot, 'y', 3), { accepted: false, used: 1 }, 'the backup has what was before')
  t.match(judge(slot, 'z', 2), { accepted: true, used: 3 })
  slot.ledger.settle()
  slot.close()
  t.ok(readdirSync(folder).some(name => name.includes('.damaged-')))
})

t.test('a backup that is damaged as well is no reason to stop', async t => {
  const file = join(t.testdir(), 'ledger.sqlite')
  writeFileSync(file, 'no database at all, but long enough to be taken for one'.repeat(200))
  writeFileSync(`${file}.backup`, 'neither is this one'.repeat(500))
  const slot = opened(file)
  t.match(slot.problem, /were damaged/)
  t.match(judge(slot, 'a', 3), { accepted: true })
  slot.ledger.settle()
  slot.close()
})

t.test('a backup that cannot be written leaves the one of before', async t => {
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

t.test('a file, or its journal, that is deleted at work is written anew', async t => {
  const folder = t.testdir()
  const file = join(folder, 'ledger.sqlite')
  const slot = opened(file)
  let sum = 0
  for (const gone of [`${file}-wal`, file]) {
    judge(slot, `before ${gone}`, 1)
    slot.ledger.settle()
    sum++
    t.equal(await slot.mend(now), false, 'all is well')
    rmSync(gone)
    t.equal(await slot.mend(now), true)
    t.match(slot.problem, /was deleted or replaced/)
    t.equal(slot.ledger.used('limit', 'alice', '2026-11-20'), sum)
  }
  judge(slot, 'after', 1)
  slot.ledger.settle()
  slot.close()
  const again = opened(file)
  t.equal(again.ledger.used('limit', 'alice', '2026-11-20'), 3)
  t.match(judge(again, 'after', 1), { accepted: true, repeated: true })
  again.close()
})

for (const what of ['its journal', 'the whole folder'] as const) {
  t.test(`${what} deleted before the first message after a start is made anew`, async t => {
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
    t.equal(await slot.mend(now), true)
    t.match(slot.problem, /was deleted or replaced/)
    judge(slot, 'b', 2)
    slot.ledger.settle()
    // As after a kill -9: what is on the disk is all there is.
    const copy = join(top, 'copy')
    cpSync(folder, copy, { recursive: true })
    slot.close()
    const again = opened(join(copy, 'ledger.sqlite'))
    t.match(judge(again, 'a', 1), { repeated: true }, 'a message of before is known')
    t.equal(again.ledger.used('limit', 'alice', '2026-11-20'), 3)
    again.close()
  })
}

t.test('a backup that cannot be copied yet is not forgotten', async t => {
  const folder = t.testdir()
  const file = await withBackup(folder)
  for (const name of readdirSync(folder)) if (name.includes('journal')) rmSync(join(folder, name))
  damage(file)
  renameSync(`${file}.backup`, `${file}.elsewhere`)
  mkdirSync(`${file}.backup`)
  const next = opened(file)
  t.match(next.problem, /^counts are in memory only/)
  judge(next, 'x', 1)
  next.ledger.settle()
  t.equal(await next.mend(now), false, 'not yet')
  rmSync(`${file}.backup`, { recursive: true })
  renameSync(`${file}.elsewhere`, `${file}.backup`)
  t.equal(await next.mend(now), true)
  t.equal(next.ledger.used('limit', 'alice', '2026-11-20'), 2, 'of before and of since')
  next.close()
})

t.test('a page that is broken in the backup as well is not set aside for ever', async t => {
  const folder = t.testdir()
  const file = join(folder, 'ledger.sqlite')
  const slot = opened(file)
  judge(slot, 'before', 1)
  slot.ledger.settle()
  while (slot.forget('2026-01-01'));
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
    await slot.mend(now + second * 1000)
  }
  t.ok(failures <= 2, `${failures} could not be counted`)
  const aside = readdirSync(folder).filter(name => name.includes('damaged'))
  t.ok(aside.length <= 2, aside.join(' '))
  slot.close()
})

t.test('whoever hangs up on a damaged file hears nothing, and it is mended', async t => {
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
  t.equal(await slot.mend(now), true)
  t.equal(slot.problem, undefined, 'nobody has noticed')
  t.doesNotThrow(() => slot.ledger.disconnect(1))
  t.equal(await slot.mend(now), true, 'that was noticed')
  t.match(slot.problem, /were damaged: .*; those of the backup of 20\d\d-.* are in force$/)
  t.match(judge(slot, 'y', 3), { accepted: false, used: 1 }, 'the backup has what was before')
  t.match(judge(slot, 'z', 2), { accepted: true, used: 3 })
  slot.ledger.settle()
  t.equal(await slot.mend(now), false, 'all is well')
  slot.close()
})

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
    t.match(slot.problem, /were damaged: .*; those of the backup of 20\d\d-.* are in force$/)
    t.ok(readdirSync(folder).some(name => name.includes('.damaged-')))
    t.match(judge(slot, 'y', 3), { accepted: false, used: 1 }, 'the backup has what was before')
    t.match(judge(slot, 'z', 2), { accepted: true, used: 3 })
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
  t.match(slot.problem, /were damaged/)
  t.match(judge(slot, 'a', 1), { accepted: true })
  slot.ledger.settle()
  slot.close()
})

/** How often the disk was waited for since it was last asked. */
function diskWaits(t: Test): () => number {
  const waits = t.capture(fs, 'fdatasyncSync', fs.fdatasyncSync)
  syncBuiltinESMExports()
  t.teardown(() => {
    waits.restore()
    syncBuiltinESMExports()
  })
  return () => waits().length
}

t.test('mail waits for the disk as long as the durability is full', t => {
  const folder = t.testdir()
  const waits = diskWaits(t)
  const pragmas = t.capture(Database.prototype, 'pragma', Database.prototype.pragma)
  const slot = opened(join(folder, 'ledger.sqlite'))
  const count = (instance: string): void => {
    t.match(judge(slot, instance, 1), { accepted: true })
    slot.ledger.settle()
  }
  count('a')
  t.equal(waits(), 0)
  pragmas()

  slot.setDurability('full')
  t.match(pragmas(), [{ args: ['synchronous = FULL'] }])
  count('b')
  t.equal(waits(), 1)
  const journal = join(folder, 'ledger.journal-0')
  t.equal(statSync(journal).size, JOURNAL_FILE_BYTES, 'the file gets its blocks at once')

  slot.setDurability('normal')
  t.match(pragmas(), [{ args: ['synchronous = NORMAL'] }])
  count('c')
  t.equal(waits(), 0)
  slot.close()
  hasThreeAfterRestart(t, join(folder, 'ledger.sqlite'))
  t.end()
})

t.test('a file that is written anew has the durability of now', async t => {
  const folder = t.testdir()
  const file = join(folder, 'ledger.sqlite')
  const waits = diskWaits(t)
  const slot = opened(file)
  t.match(judge(slot, 'a', 1), { accepted: true })
  slot.ledger.settle()
  rmSync(file)
  const mended = slot.mend(now)
  // While it is being copied.
  slot.setDurability('full')
  t.equal(await mended, true)
  waits()
  t.match(judge(slot, 'b', 2), { accepted: true })
  slot.ledger.settle()
  t.equal(waits(), 1)
  slot.close()
  hasThreeAfterRestart(t, file)
})
