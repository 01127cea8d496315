/** Waiting for an SQL server, under a clock that the test turns, with a driver of the test's own. */

import t from 'tap'
import type { Answer, Driver, Link } from '../../daemon/remote/sql-driver.ts'
import { NotDone } from '../../daemon/remote/sql-driver.ts'
import { serverConnection } from '../../daemon/remote/sql-server.ts'
import { virtualClock } from '../support/virtual-clock.ts'

const ADDRESS = {
  host: 'db.example',
  port: 5432,
  socket: undefined,
  database: 'mail',
  user: 'me',
  password: 'pa55word',
  tls: undefined,
}
const ANSWER: Answer = { rows: [[1]], changed: 1 }

interface Opening {
  readonly signal: AbortSignal
  readonly lost: (error: unknown) => void
  succeed(): FakeLink
  fail(reason: string): void
}

interface FakeLink extends Link {
  /** Statements that are not answered yet. */
  readonly running: PromiseWithResolvers<Answer>[]
  end: () => void
  state: 'open' | 'ended' | 'destroyed'
}

function scene() {
  const clock = virtualClock()
  const openings: Opening[] = []
  const links: FakeLink[] = []

  function link(): FakeLink {
    const running: PromiseWithResolvers<Answer>[] = []
    const made: FakeLink = {
      running,
      state: 'open',
      run() {
        const statement = Promise.withResolvers<Answer>()
        running.push(statement)
        return statement.promise
      },
      end() {
        made.state = 'ended'
      },
      destroy() {
        made.state = 'destroyed'
      },
    }
    links.push(made)
    return made
  }

  const driver: Driver = {
    dialect: 'postgres',
    title: 'Fake',
    load: async () => undefined,
    open(_address, signal, lost) {
      const { promise, resolve, reject } = Promise.withResolvers<Link>()
      signal.addEventListener('abort', () => reject(new Error('given up')))
      openings.push({
        signal,
        lost,
        succeed() {
          const made = link()
          resolve(made)
          return made
        },
        fail: reason => reject(new Error(reason)),
      })
      return promise
    },
  }
  const db = serverConnection(driver, ADDRESS, clock)
  const ask = (): Promise<string> =>
    Promise.resolve(db.query('SELECT 1', [], 1)).then(() => 'answered', String)
  const change = (): Promise<string> =>
    Promise.resolve(db.execute('UPDATE a', [])).then(() => 'answered', String)
  const settle = (): Promise<void> => clock.advance(0)

  /** An open link that has answered once. */
  async function opened(): Promise<FakeLink> {
    const first = ask()
    await settle()
    const made = openings.at(-1)?.succeed()
    await settle()
    made?.running.shift()?.resolve(ANSWER)
    await first
    if (!made) throw new Error('no link was opened')
    return made
  }
  return { clock, db, openings, links, ask, change, settle, opened }
}

t.test('nothing is opened at load, and no link without a need', async t => {
  const { openings, ask, settle, opened } = scene()
  await settle()
  t.equal(openings.length, 0)
  const link = await opened()
  const second = ask()
  await settle()
  link.running.shift()?.resolve(ANSWER)
  t.equal(await second, 'answered')
  t.equal(openings.length, 1)
})

t.test('at most four links; who waits is served in order, in bounded time', async t => {
  const { clock, openings, links, ask, settle } = scene()
  const asked = Array.from({ length: 6 }, ask)
  await settle()
  t.equal(openings.length, 4)
  for (const one of openings) one.succeed()
  await settle()
  t.strictSame(
    links.map(({ running }) => running.length),
    [1, 1, 1, 1],
  )
  links[0]?.running.shift()?.resolve(ANSWER)
  t.equal(await Promise.race(asked.slice(0, 4)), 'answered')
  await settle()
  t.equal(links[0]?.running.length, 1, 'the fifth')
  await clock.advance(1599)
  t.equal(await Promise.race([asked[5], 'still waiting']), 'still waiting')
  await clock.advance(1)
  t.match(
    await asked[5],
    /^LookupError: Fake at db\.example:5432: busy; gave up after waiting 1\.6 s/,
  )
  t.equal(openings.length, 4)
})

t.test('more than 1000 do not wait', async t => {
  const { ask, settle } = scene()
  const asked = Array.from({ length: 1001 }, ask)
  await settle()
  t.match(await Promise.race([asked[1000], 'waiting']), /1000 requests are already pending/)
})

t.test(
  'a server that cannot be reached costs one request, then one probe after each rest',
  async t => {
    const { clock, openings, ask, settle } = scene()
    const first = ask()
    await clock.advance(1500)
    t.match(await first, /no connection within 1\.5 s$/)
    t.ok(openings[0]?.signal.aborted)
    t.match(await ask(), /no connection within 1\.5 s; not tried again for 3 s$/)
    await clock.advance(3000)
    const probe = ask()
    t.match(await ask(), /another request is checking/)
    await settle()
    openings[1]?.fail('ECONNREFUSED')
    t.match(await probe, /: ECONNREFUSED$/)
    t.match(await ask(), /ECONNREFUSED; not tried again for 0\.2 s$/, 'a refusal costs nothing')
    await clock.advance(200)
    const back = ask()
    await settle()
    t.equal(openings.length, 3, 'one link')
    const link = openings[2]?.succeed()
    await settle()
    link?.running.shift()?.resolve(ANSWER)
    t.equal(await back, 'answered')
    void ask()
    void ask()
    await settle()
    t.equal(openings.length, 4, 'trusted again')
  },
)

t.test(
  'a server that goes silent costs the statements that run, and nobody after them',
  async t => {
    const { clock, links, openings, ask, opened } = scene()
    await opened()
    const [running, behind] = [ask(), ask()]
    await clock.advance(100)
    openings[1]?.succeed()
    await clock.advance(1900)
    t.match(await running, /no answer within 2 s$/)
    t.equal(links[0]?.state, 'destroyed')
    t.equal(await Promise.race([behind, 'waiting']), 'waiting', 'its link may still answer')
    await clock.advance(100)
    t.match(await behind, /no answer within 2 s$/)
    t.match(await ask(), /no answer within 2 s; not tried again for 3\.9 s$/)
  },
)

t.test('one link too many for the server: requests share those there are', async t => {
  const { openings, links, ask, settle, opened } = scene()
  const link = await opened()
  const [one, two] = [ask(), ask()]
  await settle()
  openings[1]?.fail('too many connections')
  await settle()
  link.running.shift()?.resolve(ANSWER)
  t.equal(await one, 'answered')
  await settle()
  link.running.shift()?.resolve(ANSWER)
  t.equal(await two, 'answered')
  t.equal(links.length, 1)
})

t.test('a link that is not used for a minute is closed', async t => {
  const { clock, openings, links, ask, opened, settle } = scene()
  const link = await opened()
  await clock.advance(59_999)
  t.equal(link.state, 'open')
  await clock.advance(1)
  t.equal(link.state, 'ended')
  const next = ask()
  await settle()
  openings[1]?.succeed().running
  await settle()
  links[1]?.running.shift()?.resolve(ANSWER)
  t.equal(await next, 'answered')
  t.ok(clock.pending <= 1, 'no timer is left behind but for the idle link')
})

t.test('lost in the middle: a query is sent again once, a change is not', async t => {
  for (const [isQuery, error, outcome] of [
    [true, new Error('gone'), 'answered'],
    [false, new Error('gone'), /gone$/],
    [true, new NotDone('read-only'), 'answered'],
    [false, new NotDone('read-only'), 'answered'],
  ] as const) {
    const { openings, links, ask, change, settle, opened } = scene()
    await opened()
    const asked = isQuery ? ask() : change()
    await settle()
    openings[0]?.lost(error)
    await settle()
    openings[1]?.succeed()
    await settle()
    links[1]?.running.shift()?.resolve(ANSWER)
    t.match(await asked, outcome, `${isQuery ? 'query' : 'change'}: ${error.message}`)
    t.equal(links[0]?.state, 'destroyed')
  }
})

t.test('a server that another one has replaced: all links to it are left', async t => {
  const { openings, links, ask, change, settle, opened } = scene()
  const first = await opened()
  const [one, two] = [ask(), ask()]
  await settle()
  openings[1]?.succeed()
  await settle()
  for (const link of links) link.running.shift()?.resolve(ANSWER)
  await Promise.all([one, two])
  const asked = change()
  await settle()
  const [busy, idle] = first.running.length > 0 ? [0, 1] : [1, 0]
  openings[busy]?.lost(new NotDone('read-only'))
  await settle()
  t.equal(links[busy]?.state, 'destroyed')
  t.equal(links[idle]?.state, 'ended')
  openings[2]?.succeed()
  await settle()
  links[2]?.running.shift()?.resolve(ANSWER)
  t.equal(await asked, 'answered')
})

t.test('lost again: nothing is sent a third time', async t => {
  const { openings, ask, settle, opened } = scene()
  await opened()
  const asked = ask()
  await settle()
  openings[0]?.lost(new Error('gone'))
  await settle()
  openings[1]?.succeed()
  await settle()
  openings[1]?.lost(new Error('gone again'))
  t.match(await asked, /gone again$/)
  await settle()
  t.equal(openings.length, 2)
})

t.test('a link lost while it is idle, or while it opens, is replaced unnoticed', async t => {
  const { openings, links, ask, settle, opened } = scene()
  await opened()
  openings[0]?.lost(new Error('gone'))
  const asked = ask()
  await settle()
  openings[1]?.lost(new Error('gone'))
  openings[1]?.succeed()
  await settle()
  t.equal(links[1]?.state, 'destroyed')
  openings[2]?.succeed()
  await settle()
  links[2]?.running.shift()?.resolve(ANSWER)
  t.equal(await asked, 'answered')
})

t.test('closed: what runs is finished, what waits is not, and nothing stays open', async t => {
  const { clock, db, links, openings, ask, settle, opened } = scene()
  const link = await opened()
  const [running, waiting] = [ask(), ask()]
  await settle()
  db.close()
  t.match(await waiting, /has been closed$/)
  t.match(await ask(), /has been closed$/)
  openings[1]?.succeed()
  link.running.shift()?.resolve(ANSWER)
  t.equal(await running, 'answered')
  await settle()
  t.strictSame(
    links.map(({ state }) => state),
    ['ended', 'ended'],
  )
  t.equal(clock.pending, 0)
})
