/**
 * Is the daemon queried about everybody who logs in to a service? For each smtpd service of an
 * instance, with the reason.
 *
 * Users log in from outside, from mynetworks (webmail), and perhaps with a certificate: a service
 * counts as 'asked' only if the daemon is queried for all of them. A service that only this host
 * can connect to, and to which a content filter returns mail, is not one where users log in, even
 * if main.cf enables logins for all services.
 */

import { isLoopbackHost } from '../../net/loopback.ts'
import { type Certainty, either } from './certainty.ts'
import { CLIENTS, type Client } from './client.ts'
import { type Decision, decide } from './decision.ts'
import type { PostfixInstance, SmtpdService } from './instance.ts'
import { allowsLogins, asksForCertificates } from './logins.ts'
import { optionOf } from './master-cf.ts'
import type { Obstacle, Query } from './message.ts'
import type { Network } from './network.ts'
import { obstaclesInFront } from './obstacles.ts'
import type { Parameters } from './parameters.ts'
import type { PolicyItem } from './policy-item.ts'
import { type Reach, reachOf, type Target } from './reach.ts'
import { END_OF_DATA } from './restriction-list.ts'
import { canCount } from './stages.ts'

/** An item that is meant for us but does not reach us. */
export interface Missed {
  readonly query: Query
  readonly reach: Extract<Reach, { kind: 'missed' }>
}

export type Answer =
  | 'asked'
  | 'not asked'
  | 'perhaps'
  /** No users' mail is accepted here at all. */
  | 'refuses'
  /** Nobody can log in here. */
  | 'no logins'
  /** A content filter on this host returns mail here. */
  | 'return path'

export interface Protection {
  readonly instance: PostfixInstance
  readonly service: SmtpdService
  readonly answer: Answer
  /** At the end of data, for everybody who logs in. */
  readonly isAskedAtEnd: boolean
  /** For each kind of client that logs in: from outside, from mynetworks, with a certificate. */
  readonly decisions: readonly Decision[]
  readonly queries: readonly Query[]
  readonly missed: readonly Missed[]
  /** What precedes every item of ours and lets mail of users pass. */
  readonly obstacles: readonly Obstacle[]
}

export function protectionsOf(
  instance: PostfixInstance,
  target: Target,
  network: Network,
): Protection[] {
  return instance.services.map(service => protectionOf(instance, service, target, network))
}

/** The kinds of clients that may log in to this service, as far as they make a difference. */
function usersOf(service: SmtpdService): Client[] {
  const { parameters } = service
  // Even if mynetworks is empty: permit_inet_interfaces permits the host's own addresses.
  const clients: Client[] = [CLIENTS.authenticated, CLIENTS['authenticated in mynetworks']]
  if (asksForCertificates(parameters)) clients.push(CLIENTS['authenticated with a certificate'])
  return clients
}

function protectionOf(
  instance: PostfixInstance,
  service: SmtpdService,
  target: Target,
  network: Network,
): Protection {
  const { parameters } = service
  const reach = (item: PolicyItem) => reachOf(item, target, { instance, service, network })
  const { version } = instance
  const users = usersOf(service)
  const decisions = users.map(user =>
    decide({ parameters, version, isOurs: item => reach(item).kind === 'ours' }, user),
  )
  const isMeant = (item: PolicyItem) => reach(item).kind !== 'other'
  const question = { parameters, version, isOurs: isMeant }
  const intended = users.map(user => ({ user, decision: decide(question, user) }))
  const queries = distinct(
    intended.map(({ decision }) => decision.queries),
    parameters,
  )
  const missed = queries.flatMap(query => {
    const found = reach(query.item)
    return found.kind === 'missed' ? [{ query, reach: found }] : []
  })
  const ours = decisions.map(decision => decision.queries)
  return {
    instance,
    service,
    answer: answerOf(instance, service, decisions),
    isAskedAtEnd: decisions.every(
      ({ asked, queries: all }) =>
        // A list that depends on stress counts only if it queries the daemon both with and without
        // stress.
        asked === 'yes' &&
        all.some(({ state, reached }) => state === 'END-OF-MESSAGE' && reached === 'yes'),
    ),
    decisions,
    queries: distinct(ours, parameters),
    missed,
    obstacles: intended.flatMap(({ user, decision }) =>
      passesUnasked(decision) ? obstaclesInFront(question, user) : [],
    ),
  }
}

function answerOf(
  instance: PostfixInstance,
  service: SmtpdService,
  decisions: readonly Decision[],
): Answer {
  if (!allowsLogins(service.parameters)) return 'no logins'
  if (isReturnPath(instance, service)) return 'return path'
  if (service.mistake || instance.mistake !== undefined) return 'refuses'
  const passing = decisions.filter(({ passes }) => passes !== 'no')
  if (passing.length === 0) return 'refuses'
  const all = passing.map(({ asked }) => asked)
  if (all.every(asked => asked === 'yes')) return 'asked'
  const some = all.reduce<Certainty>((sum, asked) => either(sum, asked), 'no')
  return some === 'no' ? 'not asked' : 'perhaps'
}

/** Nothing is in the way if one item that counts is certainly reached. */
function passesUnasked({ queries, passes }: Decision): boolean {
  return (
    passes !== 'no' && !queries.some(({ state, reached }) => canCount(state) && reached === 'yes')
  )
}

/** Options that only a content filter's return service has. */
const RETURN_MARKS: ReadonlyArray<readonly [name: string, pattern: RegExp]> = [
  [END_OF_DATA, /^$/],
  ['content_filter', /^$/],
  ['smtpd_milters', /^$/],
  ['receive_override_options', /no_(?:milters|header_body_checks|unknown_recipient_checks)/],
  ['smtpd_proxy_filter', /^$/],
  ['smtpd_client_restrictions', /^permit_mynetworks[\s,]+reject$/],
  ['smtpd_recipient_restrictions', /^permit_mynetworks[\s,]+reject$/],
  ['smtpd_authorized_xforward_hosts', /./],
  ['mynetworks', /^127\./],
]

/**
 * Only this host can connect, and the service is meant for mail that returns from a filter: it has
 * at least two of the options that are typical of such services.
 */
function isReturnPath(instance: PostfixInstance, service: SmtpdService): boolean {
  if (!isOnLoopback(service, instance) || isForUsers(service)) return false
  const marks = RETURN_MARKS.filter(([name, pattern]) => {
    return optionOf(service.master, name) && pattern.test(service.parameters.value(name))
  })
  // Clients on this host may send there without logging in, so a login makes no difference.
  const question = {
    parameters: service.parameters,
    version: instance.version,
    isOurs: () => false,
  }
  return marks.length >= 2 && decide(question, CLIENTS.mynetworks).passes !== 'no'
}

/** Logins are enabled for this service itself, or other hosts connect through a proxy. */
function isForUsers({ master, parameters }: SmtpdService): boolean {
  const isOwn = optionOf(master, 'smtpd_sasl_auth_enable') !== undefined
  return isOwn || parameters.value('smtpd_upstream_proxy_protocol') !== ''
}

/** Can only this host connect to it? */
export function isOnLoopback(
  { master }: SmtpdService,
  { parameters }: Pick<PostfixInstance, 'parameters'>,
): boolean {
  const interfaces = parameters.value('inet_interfaces')
  if (master.type === 'unix') return true
  const host = /^(?:\[(.+)\]|([^:]+)):[^:]+$/.exec(master.address)
  const where = host ? [host[1] ?? host[2] ?? ''] : interfaces.split(/[\s,]+/)
  return where.every(name => isLoopbackHost(name) || name.toLowerCase() === 'loopback-only')
}

/**
 * Each query once for all users, in its worst case among them. An item that occurs twice is kept
 * twice.
 */
function distinct(ofUsers: readonly (readonly Query[])[], parameters: Parameters): Query[] {
  const worst = new Map<string, Query>()
  for (const queries of ofUsers) {
    const times = new Map<string, number>()
    for (const query of queries) {
      const place = `${query.list} ${query.state} ${query.text} ${query.byClass ?? ''}`
      // A list that depends on stress was evaluated twice: with and without.
      const isEither = parameters.dependsOn(query.list, 'stress')
      const nth = isEither ? 1 : (times.get(place) ?? 0) + 1
      times.set(place, nth)
      const key = `${place} ${nth}`
      const known = worst.get(key)
      if (!known || (known.reached === 'yes' && query.reached !== 'yes')) worst.set(key, query)
    }
  }
  return [...worst.values()]
}
