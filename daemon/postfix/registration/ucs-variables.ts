/**
 * On UCS, Postfix's lists are variables: works out which of them need which value. Pure functions.
 *
 * UCR sorts `…/restrictions/recipient/*` by name and joins the values into the recipient list of
 * all services; `…/mastercf/options/SERVICE/NAME` becomes ` -o NAME=VALUE`, unquoted, so such a
 * value must not contain spaces. The recipient list ends at permit_sasl_authenticated, long before
 * 79: that entry sees inbound mail only. Authenticated mail is checked at the end of data, per
 * service.
 *
 * An item that an administrator wrote for us stays where and as it is, except that it follows a
 * changed host or port. A value from a policy or forced layer is reported, never overridden.
 */

import {
  type Endpoint,
  endpointName,
  listenersOf,
  type Protocol,
  restrictionItem,
  serverFor,
  withoutBlanks,
} from '../smtpd/endpoint.ts'
import { formatServer, type PolicyServer } from '../smtpd/policy-item.ts'
import { END_OF_DATA, stretchesOf, tokenise } from '../smtpd/restriction-list.ts'
import { asks, recognise } from './own-items.ts'
import type { UcrView } from './registration.ts'

export const INBOUND = 'mail/postfix/smtpd/restrictions/recipient/'
const SUBMISSION = 'mail/postfix/submission/restrictions/recipient/'
const OPTIONS = 'mail/postfix/mastercf/options/'

/**
 * The place named in the wiki: after UCS's own rules, before Dovecot's quota at 80. Dovecot's
 * package numbers its entries from the highest number on, so the second choice must not be a
 * number.
 */
const PLACES = [`${INBOUND}79`, `${INBOUND}79-mtpolicyd`]

export interface Plan {
  /** New values. */
  readonly changes: ReadonlyMap<string, string>
  /** What could not be done, and who has to do it. */
  readonly reasons: readonly string[]
  readonly notes: readonly string[]
}

export interface Wanted {
  readonly endpoint: Endpoint
  /** Former endpoints of the daemon; entries for them are moved. */
  readonly was: readonly Endpoint[]
  readonly mailVersion: string
  /** The protocols by which Postfix connects; default: both. */
  readonly protocols?: readonly Protocol[]
  /** Add what is missing, instead of only moving what is there. */
  readonly complete: boolean
}

/** `ucr set` writes to this layer; a UCR test run with UNIVENTION_BASECONF has one layer only. */
export function written(view: UcrView): ReadonlyMap<string, string> {
  return layer(view, ['normal', 'custom'])?.values ?? new Map()
}

/** The keys of inbound entries that query one of these endpoints. */
export function inboundEntries(view: UcrView, endpoints: readonly Endpoint[]): string[] {
  return [...view.merged]
    .filter(([key, value]) => key.startsWith(INBOUND) && recognise(value, endpoints).length > 0)
    .map(([key]) => key)
}

export function planRegistration(view: UcrView, wanted: Wanted): Plan {
  const { endpoint, mailVersion, protocols = ['ipv4', 'ipv6'] } = wanted
  const server = serverFor(listenersOf(endpoint), protocols)
  if ('why' in server) return { changes: new Map(), reasons: [server.why], notes: [] }
  const changes = new Map<string, string>()
  const reasons: string[] = []
  const notes: string[] = []
  const put = (key: string, value: string) => {
    const scope = shadow(view, key)
    if (scope === undefined) changes.set(key, value)
    else reasons.push(`the "${scope}" layer overrides ${key}; it should be: ${value}`)
  }

  const was = wanted.was.filter(old => endpointName(old) !== endpointName(endpoint))
  for (const [key, value] of view.merged) {
    if (![INBOUND, SUBMISSION, OPTIONS].some(prefix => key.startsWith(prefix))) continue
    if (recognise(value, was).length > 0) put(key, moved(value, was, server))
  }
  if (!wanted.complete) return { changes, reasons, notes }

  const own = inboundEntries(view, [endpoint, ...was])
  if (own.length === 0) {
    const free = PLACES.find(key => !view.merged.get(key))
    if (free) put(free, restrictionItem(server, mailVersion))
    else
      reasons.push(
        `${PLACES.join(' and ')} are taken; the daemon is not queried about inbound mail`,
      )
  }
  for (const key of own) {
    if (/check_policy_service[\s,]+[^{\s]/i.test(view.merged.get(key) ?? '')) {
      notes.push(
        `${key} was set by an administrator and is left alone; it lacks default_action=DUNNO`,
      )
    }
  }

  for (const service of authenticatedServices(view)) {
    const key = `${OPTIONS}${service}/${END_OF_DATA}`
    const present = view.merged.get(key) ?? ''
    if (recognise(present, [endpoint, ...was]).length > 0) continue
    const item = withoutBlanks(restrictionItem(server, mailVersion))
    if (/\s/.test(present.trim())) {
      reasons.push(
        `${key}=${present} contains a space, which breaks the service; it should begin with: ${item}`,
      )
    } else {
      put(key, present.trim() === '' ? item : `${item},${present.trim()}`)
    }
  }
  return { changes, reasons, notes }
}

/** A variable's value without our item; edits made since then are kept. */
export function undone(
  now: string | undefined,
  entry: { readonly written: string; readonly previous?: string | undefined },
  endpoints: readonly Endpoint[],
): string | undefined {
  if (now === undefined) return undefined
  if (now === entry.written) return entry.previous
  if (recognise(now, endpoints).length === 0) return now
  const left = without(now, endpoints)
  return left === '' ? entry.previous : left
}

/** AUTH is always enabled on 465 and 587; on port 25 only where somebody enabled it again. */
function authenticatedServices(view: UcrView): string[] {
  const onPort25 = view.merged.get(`${OPTIONS}smtp/smtpd_sasl_auth_enable`) ?? ''
  const isOn = /^(yes|true|1|enabled?|on)$/i.test(onPort25.trim())
  return ['submission', 'smtps', ...(isOn ? ['smtp'] : [])]
}

/** The layer above the written one that sets a key, if there is one. */
function shadow(view: UcrView, key: string): string | undefined {
  const top = view.layers.findLast(({ values }) => values.has(key))?.scope
  return top === undefined || ['default', 'normal', 'custom'].includes(top) ? undefined : top
}

function layer(view: UcrView, scopes: readonly string[]) {
  return view.layers.find(({ scope }) => scopes.includes(scope))
}

/** The same list, with its items for former endpoints moved to the new one. */
function moved(value: string, was: readonly Endpoint[], server: PolicyServer): string {
  const tokens = tokenise(value)
  let result = value
  // From the end, so that earlier offsets stay valid.
  for (let i = tokens.length - 1; i > 0; i--) {
    const [restriction, argument] = [tokens[i - 1], tokens[i]]
    if (!restriction || !argument || !asks(restriction.text, argument.text, was)) continue
    const written = /inet:(\[[^\]]*\]|[^\s,:{}]+):\d+/i
    const replaced = argument.text.replace(written, formatServer(server))
    result = result.slice(0, argument.start) + replaced + result.slice(argument.end)
  }
  return result
}

/** The same list without the items that query these endpoints. */
function without(value: string, endpoints: readonly Endpoint[]): string {
  const isOurs = (word: string, argument: string | undefined) => asks(word, argument, endpoints)
  return stretchesOf(value, isOurs)
    .stretches.toReversed()
    .reduce((rest, { start, end }) => rest.slice(0, start) + rest.slice(end), value)
}
