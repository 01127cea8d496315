/**
 * The argument of check_policy_service, as smtpd reads it at startup (policy_client_register in
 * smtpd_check.c, auto_clnt_create in auto_clnt.c).
 *
 * Plain, `transport:endpoint`; in braces (3.0), followed by options: `name=value` without spaces
 * around the `=`, or `{ name = value }`. A mistake is fatal: that smtpd does not start, and
 * connecting clients wait for a greeting that never comes.
 */

import { compareLevels } from './expand.ts'
import { tokenise } from './restriction-list.ts'

export type PolicyServer =
  | { readonly kind: 'inet'; readonly host: string; readonly port: string }
  /** Relative to the queue directory, or absolute. */
  | { readonly kind: 'unix'; readonly path: string }

export interface PolicyItem {
  readonly server: PolicyServer
  readonly options: ReadonlyMap<string, string>
}

const OPTIONS = [
  'default_action',
  'max_idle',
  'max_ttl',
  'policy_context',
  'request_limit',
  'retry_delay',
  'timeout',
  'try_limit',
]
const TIMES = ['max_idle', 'max_ttl', 'retry_delay', 'timeout']

/** The item, or why smtpd of this version does not start with it. */
export function readPolicyItem(argument: string, version: string): PolicyItem | string {
  if (!argument.startsWith('{')) return withServer(argument, new Map())
  if (compareLevels(version, '3.0') < 0) return 'Postfix before 3.0 does not understand braces here'
  if (!argument.endsWith('}') || depthOf(argument) !== 0) return 'a brace is not closed'
  const [server, ...words] = tokenise(argument.slice(1, -1))
  if (!server) return 'there is nothing inside the braces'
  const options = new Map<string, string>()
  for (const { text } of words) {
    const isBraced = text.startsWith('{')
    const pair = isBraced ? text.slice(1, -1).trim() : text
    const [, name, value] = /^([^=]*?)\s*=\s*([\s\S]*)$/.exec(pair) ?? []
    if (name === undefined || name === '') {
      return `"${text}" is not name=value; with spaces around the = it needs its own braces: { name = value }`
    }
    const isNew = name === 'policy_context' && compareLevels(version, '3.1') < 0
    if (!OPTIONS.includes(name) || isNew) return `"${name}" is not an option of a policy service`
    const mistake = mistakeIn(name, value ?? '')
    if (mistake) return `${name}=${value} is ${mistake}`
    options.set(name, value ?? '')
  }
  return withServer(server.text, options)
}

/** No value may be empty; of the numbers only request_limit may be 0. */
function mistakeIn(name: string, value: string): string | undefined {
  // Postfix looks at the first letter of the unit only: 5min.
  if (TIMES.includes(name) && !/^\d+([smhdw]|$)/.test(value)) return 'not a time'
  if (/_limit$/.test(name) && !/^\d+$/.test(value)) return 'not a number'
  if (value === '') return 'nothing'
  return /^0+(\D|$)/.test(value) && isCount(name) ? 'too little' : undefined
}

function isCount(name: string): boolean {
  return TIMES.includes(name) || name === 'try_limit'
}

function withServer(text: string, options: ReadonlyMap<string, string>): PolicyItem | string {
  const [, transport = '', rest = ''] = /^([^:]*):([\s\S]*)$/.exec(text) ?? []
  if (transport === '' || rest === '') return `"${text}" is not inet:HOST:PORT or unix:PATH`
  if (transport === 'unix' || transport === 'local') {
    return { server: { kind: 'unix', path: rest }, options }
  }
  if (transport !== 'inet') return `"${transport}" is not inet or unix`
  // Without a host it is localhost.
  const address = rest.includes(':') ? rest : `localhost:${rest}`
  const [, bracketed, plain = '', port] = /^(?:\[([^\]]*)\]|([^\s]*?)):([^:]+)$/.exec(address) ?? []
  if (port === undefined) return `"${text}" has no port`
  // With an invalid host or port smtpd exits as soon as it has to connect.
  if (!/^(?:\d+|[A-Za-z][\w-]*)$/.test(port)) return `"${port}" is not a port`
  if (bracketed === undefined && !/^[\w.-]*$/.test(plain)) return `"${plain}" is not a host`
  return { server: { kind: 'inet', host: bracketed ?? plain, port }, options }
}

function depthOf(text: string): number {
  let depth = 0
  for (const character of text) depth += character === '{' ? 1 : character === '}' ? -1 : 0
  return depth
}

/** A Postfix time value in seconds: `5s`, `2m`, `1h`; without a unit, seconds. */
export function seconds(text: string): number {
  const [, digits = '0', unit = 's'] = /^(\d+)([smhdw]?)/.exec(text.trim()) ?? []
  const factors: Readonly<Record<string, number>> = { m: 60, h: 3600, d: 86_400, w: 604_800 }
  return Number(digits) * (factors[unit] ?? 1)
}

/** `inet:127.0.0.1:12345`, as it is written in a list. */
export function formatServer(server: PolicyServer): string {
  if (server.kind === 'unix') return `unix:${server.path}`
  const host = server.host.includes(':') ? `[${server.host}]` : server.host
  return `inet:${host}:${server.port}`
}

/** The items of a list that smtpd can parse. */
export function policyItems(list: string, version: string): PolicyItem[] {
  const words = tokenise(list).map(({ text }) => text)
  return words.flatMap((word, at) => {
    if (!/^check_policy_service$/i.test(words[at - 1] ?? '')) return []
    const item = readPolicyItem(word, version)
    return typeof item === 'string' ? [] : [item]
  })
}
