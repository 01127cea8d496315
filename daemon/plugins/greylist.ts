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
 * The first mail gets a ticket for its sender, client address and recipient, and is deferred. A client
 * that tries again after `min_retry_wait` and before `max_retry_wait` seconds passes; one that tries
 * earlier is told how long to wait (`append_waittime`). With `create_ticket = 0` only mail that
 * already has a ticket is judged, all other mail continues.
 *
 * Each pass is counted for the client and the sender's domain, once per mail (`use_autowl`). After
 * `autowl_threshold` passes the pair is no longer greylisted (`query_autowl`), until it has not been
 * seen for `autowl_expire_days`. `mtpolicyd --cron hourly` removes expired rows from `autowl_table`;
 * an expired row that has not been removed yet starts again at 1.
 *
 * Mail that passes gets the score, once per mail, and continues, or leaves the chain with
 * `mode = "dunno"`. `mode = "accept"` means the same, because Postfix has no such action. Mail from
 * this host, a loopback address or the server's own address (`server_address`), is not greylisted
 * unless `this_host = on`; nor is mail of a user who has logged in, unless `authenticated = on`.
 *
 * Tickets are kept in Memcached or Redis, the whitelist in Sql or Redis, in the connections named by
 * `memcached`, `redis` and `db`. These names, min_retry_wait and max_retry_wait may be written in
 * <Ticket> or in the plugin; db, redis, autowl_table, autowl_expire_days and mysql_engine in <AWL> or
 * in the plugin. If a store does not respond, the plugin has failed: with `on_failure = dunno` (the
 * default) mail passes without greylisting; on_error and on_failure can change that.
 *
 * Each recipient has its own ticket. Once a mail has passed it stays passed, for all Greylist blocks
 * and for later requests of the mail that name no recipient. Several blocks together add the score
 * once. Domains are compared in lower case and without a final dot.
 *
 * A ticket is for one client address. Large providers retry from other addresses, and their mail is
 * delayed for long: let it pass before this block, for example with PostfixMap, or with SPF and
 * `pass_mode = "accept"` behind a Condition on the sender's domain.
 *
 * Differences from mtpolicyd
 *
 * - The whitelist was never filled. A row in it counted only with a threshold of 1; with Redis and
 *   that threshold everybody was on it.
 * - The waiting times, autowl_expire_days, autowl_table, and everything in <Ticket> and <AWL> except
 *   `module`, were ignored.
 * - One recipient's pass was good for all recipients of the mail, and a recipient named twice had to
 *   wait again from the start.
 * - If Memcached was out of order, or with a sender too long or too odd for its keys, mail was deferred
 *   forever.
 * - An SQL connection was needed even without `use_autowl`.
 * - The hourly task failed, so nothing was ever removed.
 * - Mail of authenticated users and of this host was greylisted.
 */

import { fact } from '../policy/facts.ts'
import { plainAddress } from '../policy/mail-address.ts'
import { definePlugin, type Outcome, type Surroundings } from '../policy/plugin.ts'
import type { KeyValueStore } from '../policy/ports/key-value.ts'
import { fatal } from '../policy/problem.ts'
import { readSettings } from '../policy/read-settings.ts'
import { addScore } from '../policy/scoring.ts'
import type { Session } from '../policy/session.ts'
import {
  boolean,
  choice,
  enabled,
  integer,
  LONGEST_SECONDS,
  number,
  optional,
  type Section,
  type Settings,
  type SettingValues,
  seconds,
  text,
} from '../policy/setting.ts'
import { plainValue } from '../policy/spelling.ts'
import { isThisHost, thisHostSetting } from '../policy/this-host.ts'
import { dunno } from '../policy/verdict.ts'
import { LookupError } from '../system/errors.ts'
import {
  type AutoWhitelist,
  keyValueWhitelist,
  type Pair,
  sqlWhitelist,
} from './parts/auto-whitelist.ts'
import { isTableWord } from './parts/counter-table.ts'
import { checkAction, scoreField } from './parts/reaction.ts'

const ticketSettings = {
  min_retry_wait: seconds(
    { doc: 'Time to wait before another attempt passes.', fallback: 300 },
    { max: LONGEST_SECONDS },
  ),
  max_retry_wait: seconds(
    { doc: 'How long a ticket is kept.', fallback: 7200 },
    { min: 1, max: LONGEST_SECONDS },
  ),
  memcached: text({ doc: 'Name of the Memcached connection.', fallback: 'memcached' }),
  redis: text({ doc: 'Name of the Redis connection.', fallback: 'redis' }),
}

const whitelistSettings = {
  autowl_table: text({ doc: 'Table of the whitelist.', fallback: 'autowl' }),
  autowl_expire_days: integer(
    { doc: 'Days after which an unseen pair expires.', fallback: 60 },
    { min: 1, max: 36_500 },
  ),
  db: text({ doc: 'Name of the Sql connection.', fallback: 'db' }),
  redis: text({ doc: 'Name of the Redis connection.', fallback: 'redis' }),
  mysql_engine: text({ doc: 'Engine of a table created in MySQL.', fallback: 'MyISAM' }),
}

export const greylist = definePlugin({
  name: 'Greylist',
  summary: 'Defer the first mail of an unknown sender, client and recipient.',
  blocks: ['Ticket', 'AWL'],
  facts: { wait: fact<number>('decision', 'Seconds until an attempt passes greylisting.') },
  settings: {
    enabled,
    score: optional(number({ doc: 'Points added when mail passes.' })),
    score_field: scoreField,
    mode: choice(['passive', 'dunno', 'accept'], {
      doc: 'When mail passes: passive continues, dunno ends the chain; accept is answered as dunno.',
      fallback: 'passive',
      otherwise: 'passive',
    }),
    defer_message: text({
      doc: 'What Postfix is told otherwise.',
      fallback: 'defer greylisting is active',
    }),
    append_waittime: boolean({ doc: 'Say how many seconds are left.', fallback: true }),
    use_autowl: boolean({ doc: 'Keep the whitelist.', fallback: true }),
    autowl_threshold: integer({ doc: 'Passes after which a pair is known.', fallback: 3 }),
    query_autowl: boolean({ doc: 'Let known pairs pass immediately.', fallback: true }),
    create_ticket: boolean({ doc: 'Defer mail without a ticket.', fallback: true }),
    this_host: thisHostSetting,
    authenticated: boolean({
      doc: 'on: mail of users who have logged in is greylisted as well.',
      fallback: false,
    }),
    ...ticketSettings,
    ...whitelistSettings,
  },
  create(settings, surroundings) {
    const { enabled, score, score_field, mode, defer_message, append_waittime } = settings
    const { name, path, clock, warn, note } = surroundings
    checkAction(surroundings, 'defer_message')
    if (mode === 'accept') warn('"accept" is answered as "dunno": Postfix has no "accept"', 'mode')

    const tickets = openTickets(surroundings)
    const list = openWhitelist(surroundings, settings.use_autowl)
    const whitelist = settings.use_autowl ? list : undefined
    // The missing connection has been reported, and the daemon does not start.
    if (!tickets) return () => undefined
    const { store, min_retry_wait, max_retry_wait } = tickets

    function success(session: Session): Outcome {
      if (score && session.once('greylist-score')) addScore(session, score_field, name, score)
      return mode === 'accept' || mode === 'dunno' ? dunno : undefined
    }

    /** Queried once per mail. If the pair is known, that counts as a pass. */
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

    return (request, { session, signal, facts }) => {
      if (!enabled(session)) return undefined
      if (!settings.this_host && isThisHost(request)) {
        note(() => `${request.text('client_address')} is this host and is not greylisted`)
        return undefined
      }
      if (!settings.authenticated && request.text('sasl_username') !== '') {
        note(() => `${request.text('sasl_username')} has logged in and is not greylisted`)
        return undefined
      }
      const sender = plainAddress(request.text('sender'))
      const address = plainValue('client_address', request.text('client_address'))
      const ticket = `${sender},${address},${plainAddress(request.text('recipient'))}`
      const passed = (): Outcome => {
        session.set(`greylist-passed-${ticket}`, 1)
        // After the last of several recipients, Postfix's requests name none of them.
        session.set(`greylist-passed-${sender},${address},`, 1)
        return success(session)
      }
      const judge = async (): Promise<Outcome> => {
        const pair = { domain: sender.slice(sender.lastIndexOf('@') + 1), address }
        if (whitelist && settings.query_autowl && (await isKnown(whitelist, pair, session))) {
          note(() => `${address} is on the whitelist for ${pair.domain}`)
          return passed()
        }
        const now = Math.floor(clock.now() / 1000)
        const found = await store.get(ticket)
        // The request has been answered. A ticket deleted now would be missing when the client retries.
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
          facts.wait = validFrom - now
          return append_waittime ? `${defer_message} (${validFrom - now}s left)` : defer_message
        }
        // There is no ticket, or the key holds something else.
        if (!settings.create_ticket) return undefined
        facts.wait = min_retry_wait
        const value = String(now + min_retry_wait)
        // Two servers that store the ticket at the same time must not extend each other's wait.
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

/** A whitelist that is not in use is still maintained if its connection exists. */
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
    refuse(`"${autowl_table}" of engine "${mysql_engine}" cannot be a table name`)
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

/** A nested block with its options; those it lacks are taken from the plugin. */
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

/** The first kind is the default. */
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
