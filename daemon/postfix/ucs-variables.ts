/**
 * On UCS Postfix's lists are variables: which of them have to say what. Pure functions.
 *
 * UCR sorts `…/restrictions/recipient/*` by name and joins the values into the recipient list of all
 * services; `…/mastercf/options/SERVICE/NAME` becomes ` -o NAME=VALUE`, unquoted, so such a value must
 * have no blank. The recipient list ends at permit_sasl_authenticated, long before 79: that entry
 * is asked about inbound mail only. Authenticated mail is asked about at the end of data, by service.
 *
 * What an administrator wrote for us stays where and as it is; only a changed host or port is
 * followed. A value from a policy or forced layer is reported, never fought.
 */

import { itemWithoutBlanks, type UcrView } from './registration.ts'
import {
  asks,
  END_OF_DATA,
  type Endpoint,
  endpointName,
  recognise,
  restrictionItem,
  tokenise,
} from './restriction-list.ts'

export const INBOUND = 'mail/postfix/smtpd/restrictions/recipient/'
const SUBMISSION = 'mail/postfix/submission/restrictions/recipient/'
const OPTIONS = 'mail/postfix/mastercf/options/'

/**
 * The wiki's place: behind UCS's own rules, before the quota of Dovecot at 80. Dovecot's package
 * counts on from the highest number, so the second choice must not be a number.
 */
const PLACES = [`${INBOUND}79`, `${INBOUND}79-mtpolicyd`]

export interface Plan {
  /** New values. */
  readonly changes: ReadonlyMap<string, string>
  /** What could not be done, and who must. */
  readonly reasons: readonly string[]
  readonly notes: readonly string[]
}

export interface Wanted {
  readonly endpoint: Endpoint
  /** Where the daemon was before; entries for it follow. */
  readonly was: readonly Endpoint[]
  readonly mailVersion: string
  /** Add what is missing, not only follow what is there. */
  readonly complete: boolean
}

/** `ucr set` writes here; a test of UCR with UNIVENTION_BASECONF has one layer only. */
export function written(view: UcrView): ReadonlyMap<string, string> {
  return layer(view, ['normal', 'custom'])?.values ?? new Map()
}

/** The keys of inbound entries that ask one of these endpoints. */
export function inboundEntries(view: UcrView, endpoints: readonly Endpoint[]): string[] {
  return [...view.merged]
    .filter(([key, value]) => key.startsWith(INBOUND) && recognise(value, endpoints).length > 0)
    .map(([key]) => key)
}

export function planRegistration(view: UcrView, wanted: Wanted): Plan {
  const { endpoint, mailVersion } = wanted
  const changes = new Map<string, string>()
  const reasons: string[] = []
  const notes: string[] = []
  const put = (key: string, value: string) => {
    const scope = shadow(view, key)
    if (scope === undefined) changes.set(key, value)
    else reasons.push(`${key} is held by the layer “${scope}”; wanted there: ${value}`)
  }

  const was = wanted.was.filter(old => endpointName(old) !== endpointName(endpoint))
  for (const [key, value] of view.merged) {
    if (![INBOUND, SUBMISSION, OPTIONS].some(prefix => key.startsWith(prefix))) continue
    if (recognise(value, was).length > 0) put(key, moved(value, was, endpoint))
  }
  if (!wanted.complete) return { changes, reasons, notes }

  const own = inboundEntries(view, [endpoint, ...was])
  if (own.length === 0) {
    const free = PLACES.find(key => !view.merged.get(key))
    if (free) put(free, restrictionItem(endpoint, mailVersion))
    else reasons.push(`${PLACES.join(' and ')} are taken; inbound mail is not asked about`)
  }
  for (const key of own) {
    if (/check_policy_service[\s,]+[^{\s]/i.test(view.merged.get(key) ?? '')) {
      notes.push(`${key} is an administrator's and stays; it does not say default_action=DUNNO`)
    }
  }

  for (const service of authenticatedServices(view)) {
    const key = `${OPTIONS}${service}/${END_OF_DATA}`
    const present = view.merged.get(key) ?? ''
    if (recognise(present, [endpoint, ...was]).length > 0) continue
    const item = itemWithoutBlanks(endpoint, mailVersion)
    if (/\s/.test(present.trim())) {
      reasons.push(`${key}=${present} has a blank, which breaks the service; wanted first: ${item}`)
    } else {
      put(key, present.trim() === '' ? item : `${item},${present.trim()}`)
    }
  }
  return { changes, reasons, notes }
}

/** A variable as it was before us; what was changed since keeps the change and loses our item. */
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

/** AUTH is always on for 465 and 587; on port 25 only where somebody switched it on again. */
function authenticatedServices(view: UcrView): string[] {
  const onPort25 = view.merged.get(`${OPTIONS}smtp/smtpd_sasl_auth_enable`) ?? ''
  const isOn = /^(yes|true|1|enabled?|on)$/i.test(onPort25.trim())
  return ['submission', 'smtps', ...(isOn ? ['smtp'] : [])]
}

/** The layer above the written one that decides a key, if there is one. */
function shadow(view: UcrView, key: string): string | undefined {
  const top = view.layers.findLast(({ values }) => values.has(key))?.scope
  return top === undefined || ['default', 'normal', 'custom'].includes(top) ? undefined : top
}

function layer(view: UcrView, scopes: readonly string[]) {
  return view.layers.find(({ scope }) => scopes.includes(scope))
}

/** The same list, asking at the new endpoint. */
function moved(value: string, was: readonly Endpoint[], endpoint: Endpoint): string {
  return edited(value, was, argument => {
    const server = /inet:(\[[^\]]*\]|[^\s,:{}]+):\d+/i
    return argument.replace(server, endpointName(endpoint))
  })
}

/** The same list without the items that ask these endpoints. */
function without(value: string, endpoints: readonly Endpoint[]): string {
  return edited(value, endpoints, () => undefined)
}

function edited(
  value: string,
  endpoints: readonly Endpoint[],
  change: (argument: string) => string | undefined,
): string {
  const tokens = tokenise(value)
  let result = value
  // From the end, so that places before stay true.
  for (let i = tokens.length - 1; i > 0; i--) {
    const [restriction, argument] = [tokens[i - 1], tokens[i]]
    if (!restriction || !argument || !asks(restriction.text, argument.text, endpoints)) continue
    const replaced = change(argument.text)
    if (replaced !== undefined) {
      result = result.slice(0, argument.start) + replaced + result.slice(argument.end)
      continue
    }
    const next = tokens[i + 1]?.start
    const before = result.slice(0, restriction.start)
    // The last item takes the separator before it along, any other the one behind it.
    result = next === undefined ? before.replace(/[\s,]+$/, '') : before + result.slice(next)
  }
  return result
}
