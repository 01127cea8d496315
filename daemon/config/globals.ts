/**
 * The options outside of all blocks.
 *
 * The original takes them as they come and never complains, so a value that does not fit is an
 * error shown by `mtpolicyctl check` and in the log, and the default stands; only what it would
 * refuse is refused. Its process options mean nothing here and are accepted in silence.
 */

import { excerpt } from '../policy/excerpt.ts'
import { nearestName, type Place, type Problem } from '../policy/problem.ts'
import {
  boolean,
  choice,
  custom,
  integer,
  list,
  optional,
  type Section,
  type SettingValues,
  text,
} from '../policy/setting.ts'

export const globalSettings = {
  host: text({ doc: 'Address to listen on, for ports without one.', fallback: '127.0.0.1' }),
  port: text({ doc: 'Comma list of PORT, ADDRESS:PORT, /PATH|unix.', fallback: '127.0.0.1:12345' }),
  clients: list({
    doc: 'Addresses and networks that may connect; loopback always may.',
    fallback: [],
  }),
  pid_file: optional(text({ doc: 'File that holds the process id.' })),
  log_level: integer({ doc: 'What is logged: 0 errors to 4 everything.', fallback: 2 }),
  log_file: optional(text({ doc: 'Log to this file instead of standard error.' })),
  log_format: choice(['logfmt', 'json'], { doc: 'Form of a log line.', fallback: 'logfmt' }),
  keepalive_timeout: integer(
    { doc: 'Seconds to wait for a request; 0 for ever.', fallback: 0 },
    { min: 0 },
  ),
  max_keepalive: integer(
    { doc: 'Requests per connection; 0 without limit.', fallback: 0 },
    { min: 0 },
  ),
  request_timeout: integer(
    { doc: 'Seconds for all plugins of a request; 0 without limit.', fallback: 4 },
    { min: 0 },
  ),
  dns_timeout: custom(
    'seconds from 0.05 to 60',
    value =>
      /^\d*\.?\d+$/.test(value) && isWithinMinute(Number(value)) ? Number(value) : undefined,
    { doc: 'Seconds a question to the DNS may take in all.', fallback: 2 },
  ),
  vhost_by_policy_context: boolean({
    doc: 'Choose the virtual host by policy_context.',
    fallback: false,
  }),
  on_failure: choice(['dunno', 'defer', 'close'], {
    doc: 'What a failing plugin means: pass it over, defer the mail, or close without an answer.',
    fallback: 'dunno',
  }),
  unknown_action: choice(['pass', 'fail'], {
    doc: 'What an action means that Postfix does not know: it goes out, or the plugin has failed.',
    fallback: 'pass',
  }),
  mode: choice(['enforce', 'observe'], {
    doc: 'observe: everything is decided, counted and logged, nothing is refused.',
    fallback: 'enforce',
  }),
  timezone: optional(text({ doc: 'Time zone of calendar windows; empty is the host’s.' })),
  durability: choice(['normal', 'full'], {
    doc: 'normal: a count survives the death of the daemon; full: also a power cut.',
    fallback: 'normal',
  }),
  geoip_database: optional(text({ doc: 'GeoIP database; empty is the built-in one.' })),
}

function isWithinMinute(seconds: number): boolean {
  return seconds >= 0.05 && seconds <= 60
}

export type Globals = SettingValues<typeof globalSettings> & {
  /** Where a setting stands, or where the file begins. */
  placeOf(name: keyof typeof globalSettings): Place
}

/** Options of the original's process model, and of syslog: nothing depends on them here. */
export const withoutMeaning: ReadonlySet<string> = new Set(
  (
    'user group chroot min_servers min_spare_servers max_spare_servers max_servers max_requests ' +
    'program_name syslog_ident syslog_facility'
  ).split(' '),
)

/** Options of version 1: said what replaces them. */
const VERSION_ONE = /^(?:db|memcached|session|ldap)_/

export function readGlobals(root: Section, problems: Problem[]): Globals {
  const values: Record<string, unknown> = {}
  const places = new Map<string, Place>()
  for (const option of root.options) {
    if (withoutMeaning.has(option.name)) continue
    const declaration = Object.entries(globalSettings).find(([name]) => name === option.name)?.[1]
    if (!declaration) {
      problems.push({ severity: 'warning', place: option.place, message: unknown(option.name) })
      continue
    }
    places.set(option.name, option.valuePlace)
    const parsed = declaration.parse(option.value)
    if (parsed) values[option.name] = parsed.value
    else {
      problems.push({
        severity: 'error',
        place: option.valuePlace,
        message: `"${option.name}": expected ${declaration.expected}, found "${excerpt(option.value ?? '')}"`,
      })
    }
  }
  checkServers(root, problems)
  for (const [name, declaration] of Object.entries(globalSettings)) {
    if (!(name in values)) values[name] = declaration.fallback
  }
  return {
    ...(values as SettingValues<typeof globalSettings>),
    placeOf: name => places.get(name) ?? root.place,
  }
}

function unknown(name: string): string {
  if (VERSION_ONE.test(name)) {
    return `"${name}" is an option of mtpolicyd 1; write a <Connection> or <SessionCache> block`
  }
  const near = nearestName(name, Object.keys(globalSettings))
  return `unknown option "${name}"${near ? `; did you mean "${near}"?` : ''}`
}

/** The original does not start with limits of its processes that contradict each other. */
function checkServers(root: Section, problems: Problem[]): void {
  const option = (name: string) => root.options.find(one => one.name === name)
  const value = (name: string, fallback: number): number =>
    Number.parseInt(option(name)?.value ?? '', 10) || fallback
  const most = value('max_servers', 25)
  const mostSpare = value('max_spare_servers', 12)
  const leastSpare = value('min_spare_servers', 4)
  const written = option('min_servers')?.value
  const least = most < 5 ? most : value('min_servers', 4)
  const say = (name: string, message: string): void => {
    const place = option(name)?.place ?? root.place
    problems.push({ severity: 'fatal', place, message })
  }
  if (mostSpare >= most) {
    say(
      'max_spare_servers',
      `"max_spare_servers" (${mostSpare}) must be below "max_servers" (${most})`,
    )
  }
  if (
    leastSpare > mostSpare ||
    (written !== undefined && leastSpare > Math.max(least, 1) && most >= 5)
  ) {
    say(
      'min_spare_servers',
      `"min_spare_servers" (${leastSpare}) must not be above "min_servers" or "max_spare_servers"`,
    )
  }
}
