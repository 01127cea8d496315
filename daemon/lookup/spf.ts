/**
 * SPF: may this address send mail for this domain? check_host() of RFC 7208.
 *
 * Whatever records and servers say, an evaluation ends: the terms that need the DNS are counted, also
 * in included records (at most `terms`, which limits the depth as well), an mx or ptr may have
 * `namesPerTerm` names, and at most `voids` terms may find nothing. A record that exceeds this is a
 * permerror. A server that does not answer is a temperror, and so is a lookup after the mail's time
 * has run out.
 *
 * Where RFC 7208 leaves it open: a name that cannot be looked up (an empty or too long label, or
 * characters outside of ASCII from the sender's address, RFC 8616) does not exist; looking up the
 * names of the client's address counts at most once, and those that do not exist do not count
 * against the sender's domain, because they are the client's own doing.
 */

import { canonicalAddress, untranslatedAddress } from '../net/address.ts'
import { type AddressGroups, addressGroups, isWithin } from '../net/network.ts'
import type { DnsAnswer, DnsType, Resolver } from '../policy/ports/dns.ts'
import type {
  SpfChecker,
  SpfLimits,
  SpfQuestion,
  SpfResult,
  SpfVerdict,
} from '../policy/ports/spf.ts'
import type { Clock } from '../system/clock.ts'
import type { MaybePromise } from '../system/maybe-promise.ts'
import {
  excerpt,
  expandMacros,
  type MacroLetter,
  type MacroText,
  parseMacroText,
  SpfSyntaxError,
  usesMacro,
} from './spf-macro.ts'
import { asciiDomain, canBeLookedUp, isBelow, isMailDomain, withoutDot } from './spf-name.ts'
import { NO_POLICY, spfReason } from './spf-reason.ts'
import {
  isSpfRecord,
  type Mechanism,
  parseSpfRecord,
  type Qualifier,
  type SpfRecord,
} from './spf-record.ts'

/** Lookups under way for one check, whose policy comes from outside. */
const NAMES_AT_ONCE = 3
/** Characters of a domain's explanation. */
const MOST_EXPLANATION = 500

const RESULTS: Readonly<Record<Qualifier, SpfResult>> = {
  '+': 'pass',
  '-': 'fail',
  '~': 'softfail',
  '?': 'neutral',
}

export function spfChecker(dns: Resolver, limits: SpfLimits, clock: Clock): SpfChecker {
  return {
    check: (question, signal) => new Evaluation(dns, limits, clock, question, signal).verdict(),
    async expand(text, question, signal) {
      const evaluation = new Evaluation(dns, limits, clock, question, signal)
      return (await evaluation.explain(text)) ?? text
    },
  }
}

/** Ends an evaluation at any depth. */
class SpfFailure extends Error {
  readonly result: 'temperror' | 'permerror'

  constructor(result: 'temperror' | 'permerror', message: string) {
    super(message)
    this.result = result
  }
}

const WHOLE_ADDRESS: PrefixLengths = { bits4: 32, bits6: 128 }

interface PrefixLengths {
  readonly bits4: number
  readonly bits6: number
}

type Records<T extends DnsType> = DnsAnswer<T>['records']

interface Finding {
  readonly result: SpfResult
  /** The directive that matched, as written. */
  readonly matched: string | undefined
  readonly exp: MacroText | undefined
}

/** One check of one identity. */
class Evaluation {
  readonly #dns: Resolver
  readonly #limits: SpfLimits
  readonly #clock: Clock
  readonly #question: SpfQuestion
  readonly #signal: AbortSignal | undefined
  /** Empty if the client has no address. */
  readonly #client: AddressGroups
  readonly #addressType: 'A' | 'AAAA'
  readonly #localPart: string
  /** The domain of the identity. */
  readonly #origin: string
  /** The domain whose record is evaluated. */
  #domain: string
  /** How many includes and redirects led to it. */
  #depth = 0
  #terms = 0
  #voids = 0
  /** The result is known: lookups for its explanation do not count. */
  #isDecided = false
  /** Validated names of the client's address; undefined until they are needed. */
  #clientNames: Promise<readonly string[]> | undefined

  constructor(
    dns: Resolver,
    limits: SpfLimits,
    clock: Clock,
    question: SpfQuestion,
    signal: AbortSignal | undefined,
  ) {
    this.#dns = dns
    this.#limits = limits
    this.#clock = clock
    this.#question = question
    this.#signal = signal
    this.#client = addressGroups(untranslatedAddress(question.address)) ?? []
    this.#addressType = this.#client.length === 2 ? 'A' : 'AAAA'
    const { scope, identity } = question
    const at = scope === 'helo' ? -1 : identity.lastIndexOf('@')
    this.#localPart = identity.slice(0, Math.max(at, 0)) || 'postmaster'
    this.#origin = withoutDot(asciiDomain(identity.slice(at + 1)))
    this.#domain = this.#origin
  }

  async verdict(): Promise<SpfVerdict> {
    if (this.#client.length === 0 || !isMailDomain(this.#origin)) {
      return this.#conclude('none', 'There is no domain to check')
    }
    try {
      const { result, matched, exp } = await this.#checkHost(this.#origin)
      this.#isDecided = true
      const authority = result === 'fail' && exp ? await this.#authority(exp) : undefined
      return this.#conclude(result, spfReason(result, matched, this.#question), authority)
    } catch (error) {
      if (error instanceof SpfFailure) return this.#conclude(error.result, error.message)
      throw error
    }
  }

  /** An explanation with its macros expanded; undefined if it is malformed. */
  async explain(text: string): Promise<string | undefined> {
    this.#isDecided = true
    try {
      const parts = parseMacroText(text, 'explanation')
      return (await this.#expand(parts))?.slice(0, MOST_EXPLANATION)
    } catch (error) {
      if (error instanceof SpfSyntaxError) return undefined
      throw error
    }
  }

  #conclude(result: SpfResult, reason: string, authority?: string): SpfVerdict {
    const domain = excerpt(this.#domain)
    const path = this.#depth === 0 ? domain : `${this.#origin} ... ${domain}`
    return { result, explanation: `${path}: ${reason}`, authority }
  }

  async #checkHost(domain: string): Promise<Finding> {
    this.#domain = domain
    const record = await this.#record()
    if (!record) return { result: 'none', matched: undefined, exp: undefined }
    for (const { qualifier, mechanism, text } of record.directives) {
      if (await this.#matches(mechanism)) {
        return { result: RESULTS[qualifier], matched: text, exp: record.exp }
      }
    }
    if (!record.redirect) return { result: 'neutral', matched: undefined, exp: undefined }
    this.#countTerm()
    return this.#checkTarget(await this.#target(record.redirect))
  }

  /** check_host() for the target of an include or a redirect, which must have a policy. */
  async #checkTarget(domain: string): Promise<Finding> {
    this.#depth++
    const finding = await this.#checkHost(domain)
    if (finding.result === 'none') throw new SpfFailure('permerror', NO_POLICY)
    return finding
  }

  async #record(): Promise<SpfRecord | undefined> {
    if (!canBeLookedUp(this.#domain)) return undefined
    const { records } = this.#answered(await this.#ask(this.#domain, 'TXT'), 'TXT', this.#domain)
    const texts = records.filter(isSpfRecord)
    if (texts.length > 1) {
      const message = "Redundant applicable 'v=spf1' sender policies found"
      throw new SpfFailure('permerror', message)
    }
    const [text] = texts
    try {
      return text === undefined ? undefined : parseSpfRecord(text)
    } catch (error) {
      if (error instanceof SpfSyntaxError) throw new SpfFailure('permerror', error.message)
      throw error
    }
  }

  async #matches(mechanism: Mechanism): Promise<boolean> {
    switch (mechanism.kind) {
      case 'all':
        return true
      case 'ip4':
      case 'ip6':
        return isWithin(this.#client, mechanism.network)
    }
    this.#countTerm()
    const target = await this.#target(mechanism.domain)
    switch (mechanism.kind) {
      case 'include':
        return this.#includes(target)
      case 'exists':
        return (await this.#find(target, 'A')).length > 0
      case 'ptr':
        return (await this.#namesOfClient()).some(name => isBelow(name, target))
      case 'a':
        return this.#isOneOf(await this.#find(target, this.#addressType), mechanism)
      case 'mx':
        return this.#isAddressOfExchanger(target, mechanism)
    }
  }

  async #includes(target: string): Promise<boolean> {
    const domain = this.#domain
    const depth = this.#depth
    const { result } = await this.#checkTarget(target)
    this.#domain = domain
    this.#depth = depth
    return result === 'pass'
  }

  async #isAddressOfExchanger(domain: string, lengths: PrefixLengths): Promise<boolean> {
    const exchangers = await this.#find(domain, 'MX')
    const { namesPerTerm } = this.#limits
    if (exchangers.length > namesPerTerm) {
      throw new SpfFailure('permerror', `Maximum MX records limit (${namesPerTerm}) exceeded`)
    }
    const type = this.#addressType
    const names = exchangers.map(({ exchange }) => withoutDot(exchange)).filter(canBeLookedUp)
    // The limit is on terms: several exchangers without an address are one void (RFC 7208 4.6.4).
    let hasVoid = false
    for (let first = 0; first < names.length; first += NAMES_AT_ONCE) {
      const asked = names
        .slice(first, first + NAMES_AT_ONCE)
        .map(name => ({ name, answer: this.#ask(name, type) }))
      for (const { name, answer } of asked) {
        const answered = this.#answered(await answer, type, name)
        if (this.#isOneOf(answered.records, lengths)) return true
        hasVoid ||= isVoid(answered, type)
      }
    }
    if (hasVoid) this.#countVoid()
    return false
  }

  /** The names of the client that are validated: they lead back to its address. */
  #namesOfClient(): Promise<readonly string[]> {
    this.#clientNames ??= this.#findNamesOfClient()
    return this.#clientNames
  }

  async #findNamesOfClient(): Promise<readonly string[]> {
    const name = `${dotted(this.#client, true)}.${this.#zone()}.arpa`
    const answer = await this.#ask(name, 'PTR')
    if (answer.outcome === 'empty') this.#countVoid()
    const names = answer.records.slice(0, this.#limits.namesPerTerm).map(withoutDot)
    const believed: string[] = []
    const asked = names.filter(canBeLookedUp)
    for (let first = 0; first < asked.length; first += NAMES_AT_ONCE) {
      const some = asked.slice(first, first + NAMES_AT_ONCE).map(async one => {
        const { records } = await this.#ask(one, this.#addressType)
        return this.#isOneOf(records, WHOLE_ADDRESS) ? [one] : []
      })
      believed.push(...(await Promise.all(some)).flat())
    }
    return believed
  }

  /** The macro %{p}: the domain's own name if the client has it, else one below it, else any. */
  async #nameOfClient(): Promise<string> {
    if (!this.#clientNames) this.#countTerm()
    const names = await this.#namesOfClient()
    const domain = this.#domain.toLowerCase()
    const own = names.find(name => name.toLowerCase() === domain)
    return own ?? names.find(name => isBelow(name, domain)) ?? names[0] ?? 'unknown'
  }

  /** The domain a term is about, with its macros expanded. */
  async #target(spec: MacroText | undefined): Promise<string> {
    if (!spec) return this.#domain
    const name = withoutDot((await this.#expand(spec)) ?? '')
    // Labels on the left are removed from a name that is too long (RFC 7208 7.3).
    return name.length > 253 ? name.slice(-254).replace(/^[^.]*\.?/, '') : name
  }

  async #expand(text: MacroText): Promise<string | undefined> {
    const name = usesMacro(text, 'p') ? await this.#nameOfClient() : ''
    return expandMacros(text, letter => (letter === 'p' ? name : this.#macro(letter)))
  }

  #macro(letter: Exclude<MacroLetter, 'p'>): string {
    const { address, helo, receiver } = this.#question
    switch (letter) {
      case 's':
        return `${this.#localPart}@${this.#origin}`
      case 'l':
        return this.#localPart
      case 'o':
        return this.#origin
      case 'd':
        return this.#domain
      case 'i':
        return dotted(this.#client, false)
      case 'v':
        return this.#zone()
      case 'h':
        // Without a HELO name, as Mail::SPF: an empty label would make the domain's record invalid.
        return withoutDot(helo) || 'unknown'
      case 'c':
        return canonicalAddress(untranslatedAddress(address)) ?? address
      case 'r':
        return withoutDot(receiver)
      case 't':
        return String(Math.floor(this.#clock.now() / 1000))
    }
  }

  /** The domain's explanation; undefined if there is none. */
  async #authority(exp: MacroText): Promise<string | undefined> {
    const target = await this.#target(exp)
    if (!canBeLookedUp(target)) return undefined
    const { records } = await this.#ask(target, 'TXT')
    const [text] = records
    return records.length === 1 && text !== undefined ? this.explain(text) : undefined
  }

  #zone(): string {
    return this.#client.length === 2 ? 'in-addr' : 'ip6'
  }

  #isOneOf(addresses: readonly string[], { bits4, bits6 }: PrefixLengths): boolean {
    const bits = this.#client.length === 2 ? bits4 : bits6
    return addresses.some(address => {
      const groups = addressGroups(address)
      return groups !== undefined && isWithin(this.#client, { groups, bits })
    })
  }

  /** Records of a term. */
  async #find<T extends 'A' | 'AAAA' | 'MX'>(name: string, type: T): Promise<Records<T>> {
    return canBeLookedUp(name) ? this.#found(await this.#ask(name, type), type, name) : []
  }

  #found<T extends DnsType>(answer: DnsAnswer<T>, type: T, name: string): Records<T> {
    const answered = this.#answered(answer, type, name)
    if (isVoid(answered, type)) this.#countVoid()
    return answered.records
  }

  #answered<T extends DnsType>(answer: DnsAnswer<T>, type: T, name: string): DnsAnswer<T> {
    if (answer.outcome !== 'failed') return answer
    const message = `'${answer.problem}' error on DNS '${type}' lookup of '${excerpt(name)}'`
    throw new SpfFailure('temperror', message)
  }

  #ask<T extends DnsType>(name: string, type: T): MaybePromise<DnsAnswer<T>> {
    return this.#signal?.aborted
      ? { outcome: 'failed', records: [], problem: 'out of time' }
      : this.#dns.ask(name, type)
  }

  #countTerm(): void {
    const { terms } = this.#limits
    if (this.#isDecided || ++this.#terms <= terms) return
    throw new SpfFailure('permerror', `Maximum DNS-interactive terms limit (${terms}) exceeded`)
  }

  #countVoid(): void {
    const { voids } = this.#limits
    if (this.#isDecided || ++this.#voids <= voids) return
    throw new SpfFailure('permerror', `Maximum void DNS look-ups limit (${voids}) exceeded`)
  }
}

/**
 * Does an answer count as a void lookup? A host that has no IPv6 address does not: a domain whose
 * older hosts have IPv4 alone would be a permerror to its newer ones.
 */
function isVoid<T extends DnsType>(answer: DnsAnswer<T>, type: T): boolean {
  return answer.outcome === 'empty' && !(type === 'AAAA' && answer.exists)
}

/** The macro %{i}: bytes of IPv4, hexadecimal digits of IPv6, separated by dots. */
function dotted(address: AddressGroups, reversed: boolean): string {
  const parts = address.flatMap(group =>
    address.length === 2
      ? [group >> 8, group & 255].map(String)
      : [...group.toString(16).toUpperCase().padStart(4, '0')],
  )
  return (reversed ? parts.reverse() : parts).join('.')
}
