/**
 * Greylist - defer the first mail of an unknown sender, client and recipient.
 *
 *   <Connection memcached>
 *     module  = "Memcached"
 *     servers = "127.0.0.1:11211"
 *   </Connection>
 *   <Connection db>
 *     module = "Sql"
 *     dsn = "dbi:SQLite:dbname=/var/lib/univention-mtpolicyd/my.sqlite"
 *   </Connection>
 *   ...
 *   <Plugin greylist>
 *     module         = "Greylist"
 *     score          = -5
 *     min_retry_wait = 300
 *     <Ticket>
 *       module = "Memcached"
 *     </Ticket>
 *     <AWL>
 *       module = "Sql"
 *     </AWL>
 *   </Plugin>
 *
 * The first mail gets a ticket for its sender, client address and recipient, and is deferred. Who
 * comes again after `min_retry_wait` seconds and before `max_retry_wait` passes; who comes earlier
 * is told how long to wait (`append_waittime`). With `create_ticket = 0` only mail that has a
 * ticket already is judged, other mail goes on.
 *
 * Every pass is counted for the client and the sender's domain, once per mail (`use_autowl`). Who
 * has passed `autowl_threshold` times is not greylisted any more (`query_autowl`), until nothing
 * was seen for `autowl_expire_days`. `mtpolicyd --cron hourly` removes such rows of `autowl_table`.
 *
 * Mail that passes gets the score, once per mail, and goes on, or leaves the chain with
 * `mode = "dunno"`. `mode = "accept"` means the same: it is no action that Postfix knows.
 *
 * Tickets are kept in Memcached or Redis, the whitelist in Sql or Redis, in the connections named
 * by `memcached`, `redis` and `db`. These names, min_retry_wait and max_retry_wait may stand in
 * <Ticket> or in the plugin; db, redis, autowl_table, autowl_expire_days and mysql_engine in <AWL>
 * or in the plugin. If a store does not answer, the plugin has failed: with `on_failure = dunno`
 * (the default) mail passes without having been greylisted, and on_error and on_failure can say
 * otherwise.
 *
 * Each recipient has its own ticket, and what has passed stays passed for the rest of the mail,
 * for all Greylist blocks and also where a later request of the mail names no recipient. Several
 * blocks together add the score once.
 *
 * In mtpolicyd most of this did not work. Its whitelist was never filled, and a row in it counted
 * only with a threshold of 1; with Redis and that threshold everybody was on it. The waiting times,
 * autowl_expire_days, autowl_table and what stands in <Ticket> and <AWL> besides `module` were
 * ignored. One recipient's pass was good for all recipients of the mail, and a recipient named
 * twice began to wait anew. With Memcached out of order, or a sender too long or too odd for its
 * keys, mail was deferred for ever. An SQL connection was needed even without `use_autowl`. The
 * hourly task failed, and nothing was ever removed. A row that has expired but was not removed yet
 * begins again at 1 when its pair passes.
 */

import { LookupError } from '../policy/errors.ts'
import type { KeyValueStore } from '../policy/key-value.ts'
import { definePlugin, type Outcome, type Surroundings } from '../policy/plugin.ts'
import { fatal } from '../policy/problem.ts'
import { addScore } from '../policy/scoring.ts'
import type { Session } from '../policy/session.ts'
import {
  boolean,
  integer,
  number,
  optional,
  perMail,
  readSettings,
  type Section,
  type Settings,
  type SettingValues,
  text,
  toggle,
} from '../policy/setting.ts'
import { dunno } from '../policy/verdict.ts'
import { type AutoWhitelist, keyValueWhitelist, type Pair, sqlWhitelist } from './auto-whitelist.ts'
import { isTableWord } from './counter-table.ts'
import { checkAction, scoreField } from './reaction.ts'

const ticketSettings = {
  min_retry_wait: integer(
    { doc: 'Seconds before the next attempt counts.', fallback: 300 },
    { min: 0 },
  ),
  max_retry_wait: integer({ doc: 'Seconds a ticket is kept.', fallback: 7200 }, { min: 1 }),
  memcached: text({ doc: 'Name of the Memcached connection.', fallback: 'memcached' }),
  redis: text({ doc: 'Name of the Redis connection.', fallback: 'redis' }),
}

const whitelistSettings = {
  autowl_table: text({ doc: 'Table of the whitelist.', fallback: 'autowl' }),
  autowl_expire_days: integer(
    { doc: 'Days after which an unseen pair is forgotten.', fallback: 60 },
    { min: 1, max: 36_500 },
  ),
  db: text({ doc: 'Name of the Sql connection.', fallback: 'db' }),
  redis: text({ doc: 'Name of the Redis connection.', fallback: 'redis' }),
  mysql_engine: text({ doc: 'Engine of a table made in MySQL.', fallback: 'MyISAM' }),
}

export const greylist = definePlugin({
  name: 'Greylist',
  summary: 'Defer the first mail of an unknown sender, client and recipient.',
  blocks: ['Ticket', 'AWL'],
  settings: {
    enabled: perMail(toggle({ doc: 'off switches the plugin off.', fallback: true })),
    score: optional(number({ doc: 'Points added when mail passes.' })),
    score_field: scoreField,
    mode: text({ doc: 'When mail passes: passive goes on, dunno ends.', fallback: 'passive' }),
    defer_message: text({
      doc: 'What Postfix is told otherwise.',
      fallback: 'defer greylisting is active',
    }),
    append_waittime: boolean({ doc: 'Tell how many seconds are left.', fallback: true }),
    use_autowl: boolean({ doc: 'Keep the whitelist.', fallback: true }),
    autowl_threshold: integer({ doc: 'Passes that make a pair known.', fallback: 3 }),
    query_autowl: boolean({ doc: 'Let known pairs pass at once.', fallback: true }),
    create_ticket: boolean({ doc: 'Defer mail without a ticket.', fallback: true }),
    ...ticketSettings,
    ...whitelistSettings,
  },
  create(settings, surroundings) {
    const { enabled, score, score_field, mode, defer_message, append_waittime } = settings
    const { name, path, clock, warn, note } = surroundings
    checkAction(surroundings, 'defer_message')
    if (mode === 'accept')
      warn('"accept" is answered as "dunno": Postfix knows no "accept"', 'mode')
    else if (mode !== 'passive' && mode !== 'dunno') {
      warn('expected passive or dunno; anything else goes on as passive does', 'mode')
    }

    const tickets = openTickets(surroundings)
    const list = openWhitelist(surroundings, settings.use_autowl)
    const whitelist = settings.use_autowl ? list : undefined
    // What is missing has been said, and the daemon does not start without it.
    if (!tickets) return () => undefined
    const { store, min_retry_wait, max_retry_wait } = tickets

    function success(session: Session): Outcome {
      if (score && session.once('greylist-score')) addScore(session, score_field, name, score)
      return mode === 'accept' || mode === 'dunno' ? dunno : undefined
    }

    /** Asked once per mail; that counts as a pass if the answer is yes. */
    async function isKnown(list: AutoWhitelist, pair: Pair, session: Session): Promise<boolean> {
      const key = `${path}-autowl-${pair.domain},${pair.address}`
      const before = session.get(key)
      if (before !== undefined) return before === 1
      const count = await list.count(pair)
      const known = count > 0 && count >= settings.autowl_threshold
      if (known) await list.add(pair)
      session.set(key, known ? 1 : 0)
      return known
    }

    return (request, { session, signal }) => {
      if (!enabled(session)) return undefined
      const sender = request.text('sender')
      const address = request.text('client_address')
      const ticket = `${sender},${address},${request.text('recipient')}`
      const passed = (): Outcome => {
        session.set(`greylist-passed-${ticket}`, 1)
        // What Postfix asks after the last recipient of several names none of them.
        session.set(`greylist-passed-${sender},${address},`, 1)
        return success(session)
      }
      const judge = async (): Promise<Outcome> => {
        const pair = { domain: sender.slice(sender.lastIndexOf('@') + 1), address }
        if (whitelist && settings.query_autowl && (await isKnown(whitelist, pair, session))) {
          note(() => `${address} is known to send mail of ${pair.domain}`)
          return passed()
        }
        const now = Math.floor(clock.now() / 1000)
        const found = await store.get(ticket)
        // Answered already: what is changed now would be missing when the client comes again.
        if (signal.aborted) throw new LookupError('the ticket store answered too late')
        const validFrom = Number(found ?? Number.NaN)
        if (now > validFrom) {
          const counted = `greylist-autowl-add-${pair.domain},${address}`
          if (whitelist && session.get(counted) === undefined) {
            await whitelist.add(pair)
            session.set(counted, 1)
          }
          await store.delete(ticket)
          return passed()
        }
        if (now <= validFrom) {
          return append_waittime ? `${defer_message} (${validFrom - now}s left)` : defer_message
        }
        // No ticket, or something else under its key.
        if (!settings.create_ticket) return undefined
        const value = String(now + min_retry_wait)
        // Two servers that ask at the same time must not put each other off.
        if (found === undefined) await store.add(ticket, value, max_retry_wait)
        else await store.set(ticket, value, max_retry_wait)
        return defer_message
      }
      return session.get(`greylist-passed-${ticket}`) === undefined ? judge() : success(session)
    }
  },
})

type Tickets = SettingValues<typeof ticketSettings> & { readonly store: KeyValueStore }

function openTickets(surroundings: Surroundings): Tickets | undefined {
  const block = innerBlock('Ticket', ticketSettings, surroundings.section)
  const values = readSettings(ticketSettings, block, surroundings.problems)
  const kind = moduleOf(block, ['Memcached', 'Redis'], surroundings)
  if (!values || !kind) return undefined
  const { min_retry_wait, max_retry_wait, memcached, redis } = values
  if (min_retry_wait >= max_retry_wait) {
    surroundings.warn('no mail can pass unless max_retry_wait is more than min_retry_wait')
  }
  const name = kind === 'Redis' ? redis : memcached
  const store = surroundings.keyValue(name)
  if (store) return { ...values, store }
  surroundings.refuse(`there is no <Connection ${name}> for its tickets`)
  return undefined
}

/** One that is not needed is kept in order where its connection is there. */
function openWhitelist(surroundings: Surroundings, isNeeded: boolean): AutoWhitelist | undefined {
  const { clock, section, problems, atStart, atTask, refuse } = surroundings
  const block = innerBlock('AWL', whitelistSettings, section)
  const values = readSettings(whitelistSettings, block, problems)
  const kind = moduleOf(block, ['Sql', 'Redis'], surroundings)
  if (!values || !kind) return undefined
  const { autowl_table, autowl_expire_days, db, redis, mysql_engine } = values
  if (kind === 'Redis') {
    const store = surroundings.keyValue(redis)
    if (store) return keyValueWhitelist(store, autowl_expire_days)
    if (isNeeded) refuse(`there is no <Connection ${redis}> for its whitelist`)
    return undefined
  }
  const connection = surroundings.sql(db)
  if (!connection) {
    if (isNeeded) {
      refuse(`there is no <Connection ${db}> for its whitelist; "use_autowl = 0" needs none`)
    }
    return undefined
  }
  if (!isTableWord(autowl_table) || !isTableWord(mysql_engine)) {
    refuse(`"${autowl_table}" of engine "${mysql_engine}" cannot be a table`)
    return undefined
  }
  const list = sqlWhitelist(connection, autowl_table, {
    expireDays: autowl_expire_days,
    mysqlEngine: mysql_engine,
    clock,
  })
  atStart(list.ready)
  atTask('hourly', async () => {
    const removed = await list.expire()
    surroundings.note(() => `${removed} pairs of ${autowl_table} have expired`)
  })
  return list
}

/** A block inside with its options, and the plugin's where it has none. */
function innerBlock(
  type: string,
  declared: Settings,
  { blocks, options, place }: Section,
): Section {
  const block = blocks.find(one => one.type === type)
  const own = block?.options ?? []
  const inherited = options.filter(
    ({ name }) => Object.hasOwn(declared, name) && !own.some(option => option.name === name),
  )
  const all = [...own, ...inherited]
  return { type, name: undefined, place: block?.place ?? place, options: all, blocks: [] }
}

/** The first kind is meant where none is written. */
function moduleOf<const T extends string>(
  { type, options }: Section,
  kinds: readonly [T, ...T[]],
  { problems }: Surroundings,
): T | undefined {
  const module = options.find(option => option.name === 'module')
  if (module === undefined) return kinds[0]
  const kind = kinds.find(one => one === module.value)
  if (kind === undefined) {
    const message = `"module" in <${type}>: expected ${kinds.join(' or ')}, found "${module.value}"`
    problems.push(fatal(module.valuePlace, message))
  }
  return kind
}
