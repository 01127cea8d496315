/**
 * The options outside of all blocks.
 *
 * The original accepts any value without complaint, so a value that does not fit is an error shown
 * by `mtpolicyctl check` and in the log, and the default applies; only what the original refuses is
 * refused. Its process options have no effect here and are accepted silently.
 */

import { isMailAddress, readAddresses, readWebAddress } from '../policy/alert-values.ts'
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
  seconds,
  text,
} from '../policy/setting.ts'
import { excerpt } from '../text/excerpt.ts'

export const globalSettings = {
  host: text({ doc: 'Address to listen on, for ports without an address.', fallback: '127.0.0.1' }),
  port: text({
    doc: 'Comma-separated list of PORT, ADDRESS:PORT, [ADDRESS]:PORT or /PATH|unix.',
    fallback: '127.0.0.1:12345',
  }),
  clients: list({
    doc: 'Addresses and networks that may connect; loopback is always allowed.',
    fallback: [],
  }),
  pid_file: optional(text({ doc: 'File that holds the process id.' })),
  log_level: integer({ doc: 'What is logged: from 0 (errors) to 4 (everything).', fallback: 2 }),
  log_file: optional(text({ doc: 'Log to this file instead of standard error.' })),
  log_format: choice(['logfmt', 'json'], { doc: 'Format of the log lines.', fallback: 'logfmt' }),
  keepalive_timeout: seconds({
    doc: 'How long an idle connection is kept; 0: forever.',
    fallback: 0,
  }),
  max_keepalive: integer({ doc: 'Requests per connection; 0: no limit.', fallback: 0 }, { min: 0 }),
  request_timeout: seconds({
    doc: 'Time for all plugins of a request together; 0: no limit.',
    fallback: 4,
  }),
  dns_timeout: seconds(
    { doc: 'Time for a DNS query, retries included.', fallback: 2 },
    { min: 0.05, max: 60, fraction: true },
  ),
  vhost_by_policy_context: boolean({
    doc: 'Choose the virtual host by policy_context.',
    fallback: false,
  }),
  on_failure: choice(['dunno', 'defer', 'close'], {
    doc: 'When a plugin fails: skip it (dunno), defer the mail, or close the connection unanswered.',
    fallback: 'dunno',
  }),
  unknown_action: choice(['pass', 'fail'], {
    doc: 'What to do with an action that Postfix does not know: send it, or treat the plugin as failed.',
    fallback: 'pass',
  }),
  mode: choice(['enforce', 'observe'], {
    doc: 'observe: all mail is evaluated, counted and logged, but none is refused.',
    fallback: 'enforce',
  }),
  timezone: optional(text({ doc: 'Time zone of calendar days; empty: the host’s.' })),
  durability: choice(['normal', 'full'], {
    doc: 'normal: counts survive a crash of the daemon; full: a power failure as well.',
    fallback: 'normal',
  }),
  geoip_database: optional(text({ doc: 'GeoIP database; empty: the built-in one.' })),
  history_days: integer(
    {
      doc: 'For how many days the history is kept (who sent how much and from where, refusals); 0: not at all.',
      fallback: 0,
    },
    { min: 0, max: 366 },
  ),
  alert_mail: custom('mail addresses separated by commas, or none', readAddresses, {
    doc: 'Who gets alerts by mail, such as root; none: nobody.',
    fallback: '',
  }),
  alert_webhook: custom('a URL that begins with https:// or http://, without #', readWebAddress, {
    doc: 'URL that alerts are posted to.',
    fallback: '',
  }),
  alert_webhook_format: choice(['json', 'slack', 'mattermost', 'matrix', 'ntfy'], {
    doc: 'What is posted there.',
    fallback: 'json',
  }),
  alert_command: custom(
    'an absolute path',
    value => (value === '' || value.startsWith('/') ? value : undefined),
    { doc: 'Program that is run for each alert, which is on its standard input.', fallback: '' },
  ),
  alert_user: choice(['off', 'warn', 'all'], {
    doc: 'Whether users get mail about their own account: near a limit (warn), or at it, too (all).',
    fallback: 'off',
  }),
  alert_sender: custom(
    'a mail address',
    value => (value === '' || isMailAddress(value) ? value : undefined),
    { doc: 'Sender of such mails; empty: mtpolicyd at this host.', fallback: '' },
  ),
  alert_language: choice(['en', 'de', 'fr'], {
    doc: 'Language of alerts.',
    fallback: 'en',
  }),
  web_port: custom(
    'a port from 1 to 65535',
    value => {
      const port = /^\d{1,5}$/.test(value) ? Number(value) : 0
      return port >= 1 && port <= 65_535 ? port : undefined
    },
    { doc: 'Port of the web console; absent: there is none.', fallback: undefined },
  ),
  web_host: text({
    doc: 'Where the web console listens: a name, an address, or the absolute path of a unix socket.',
    fallback: 'localhost',
  }),
  web_path: custom(
    'a path such as /mail',
    value =>
      /^(?:\/(?!\.{1,2}(?:\/|$))[\w.~-]+)+\/?$/.test(value) ? value.replace(/\/$/, '') : undefined,
    {
      doc: 'Path below which a reverse proxy shows the web console; absent: at the top.',
      fallback: '',
    },
  ),
  web_names: list({
    doc: 'Names by which browsers reach the web console through a reverse proxy.',
    fallback: [],
  }),
  maillog: custom(
    'auto, none, journal or an absolute path',
    value => (/^(?:auto|none|journal|\/.+)$/.test(value) ? value : undefined),
    {
      doc: 'Postfix’s log, read for mail that it refuses after it was counted; auto: it is found.',
      fallback: 'auto',
    },
  ),
}

export type Globals = SettingValues<typeof globalSettings> & {
  /** Where a setting is, or else the beginning of the file. */
  placeOf(name: keyof typeof globalSettings): Place
}

/** Options of the original's process model and of syslog: they have no effect here. */
export const withoutMeaning: ReadonlySet<string> = new Set(
  (
    'user group chroot min_servers min_spare_servers max_spare_servers max_servers max_requests ' +
    'program_name syslog_ident syslog_facility'
  ).split(' '),
)

/** Options of version 1; the message names their replacement. */
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
    return `"${name}" is an option of mtpolicyd 1; use a <Connection> or <SessionCache> block instead`
  }
  const near = nearestName(name, Object.keys(globalSettings))
  return `unknown option "${name}"${near ? `; did you mean "${near}"?` : ''}`
}

/** The original does not start if the limits of its processes contradict each other. */
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

/**
 * How long a DNS query may take: half of a request's time at most, so that there is some left to decide
 * without its answer. Milliseconds.
 */
export function dnsMilliseconds({ request_timeout, dns_timeout }: Globals): number {
  const most = request_timeout === 0 ? dns_timeout : request_timeout / 2
  return Math.min(dns_timeout, most) * 1000
}
