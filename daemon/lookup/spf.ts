/**
 * SPF: may this address send mail for this domain? check_host() of RFC 7208.
 *
 * Whatever records and servers say, an evaluation ends: each term that asks the DNS counts, also in
 * included records (`terms`, so that is the depth as well), an mx or ptr has at most `namesPerTerm`
 * names, and at most `voids` questions may find nothing. Beyond that a record is a permerror. A
 * server that does not answer is a temperror, as is a question whose mail has run out of time.
 *
 * What RFC 7208 leaves open: a name that cannot be asked for (an empty or too long label, also
 * characters outside of ASCII that a sender's address brought along, RFC 8616) does not exist; the
 * names of a client's address are its own doing, so that looking them up counts at most once, and
 * not the sender's domain pays for those that do not exist.
 */

import { domainToASCII } from 'node:url'
import { canonicalAddress } from '../policy/address.ts'
import type { Clock } from '../policy/clock.ts'
import type { DnsAnswer, DnsType, Resolver } from '../policy/dns.ts'
import { type AddressGroups, addressGroups, isWithin } from '../policy/network.ts'
import type { MaybePromise } from '../policy/ports.ts'
import type { SpfChecker, SpfLimits, SpfQuestion, SpfResult, SpfVerdict } from '../policy/spf.ts'
import {
  excerpt,
  expandMacros,
  type MacroLetter,
  type MacroText,
  parseMacroText,
  SpfSyntaxError,
  usesMacro,
} from './spf-macro.ts'
import {
  isSpfRecord,
  type Mechanism,
  parseSpfRecord,
  type Qualifier,
  type SpfRecord,
} from './spf-record.ts'

/** Of a stranger's explanation. */
/** Asked for at the same time by one check: its policy is a stranger's. */
const NAMES_AT_ONCE = 3
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

/** Ends an evaluation, from wherever it is. */
class SpfFailure extends Error {
  readonly result: 'temperror' | 'permerror'

  constructor(result: 'temperror' | 'permerror', message: string) {
    super(message)
    this.result = result
  }
}

const NO_POLICY = 'No applicable sender policy available'
const WHOLE_ADDRESS: PrefixLengths = { bits4: 32, bits6: 128 }

interface PrefixLengths {
  readonly bits4: number
  readonly bits6: number
}

type Records<T extends DnsType> = DnsAnswer<T>['records']

interface Finding {
  readonly result: SpfResult
  /** The directive that matched, as it is written. */
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
  /** Empty: the client has no address. */
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
  /** The result stands: what is asked for its explanation counts no more. */
  #isDecided = false
  /** Names of the client's address that lead back to it; undefined until they are needed. */
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
    this.#client = addressGroups(question.address) ?? []
    this.#addressType = this.#client.length === 2 ? 'A' : 'AAAA'
    const { scope, identity } = question
    const at = scope === 'helo' ? -1 : identity.lastIndexOf('@')
    this.#localPart = identity.slice(0, Math.max(at, 0)) || 'postmaster'
    this.#origin = asciiDomain(withoutDot(identity.slice(at + 1)))
    this.#domain = this.#origin
  }

  async verdict(): Promise<SpfVerdict> {
    if (this.#client.length === 0 || !isMailDomain(this.#origin)) {
      return this.#conclude('none', 'There is no domain to ask')
    }
    try {
      const { result, matched, exp } = await this.#checkHost(this.#origin)
      this.#isDecided = true
      const authority = result === 'fail' && exp ? await this.#authority(exp) : undefined
      return this.#conclude(result, this.#reason(result, matched), authority)
    } catch (error) {
      if (error instanceof SpfFailure) return this.#conclude(error.result, error.message)
      throw error
    }
  }

  /** An explanation with its macros expanded; undefined if it is none. */
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

  #reason(result: SpfResult, matched: string | undefined): string {
    const { scope, identity } = this.#question
    const use = `to use '${excerpt(identity)}' in '${scope}' identity`
    const why = matched === undefined ? '(default)' : `(mechanism '${matched}' matched)`
    const byDefault = /^[-+~?]?all$/i.test(matched ?? '') ? ' by default' : ''
    switch (result) {
      case 'pass':
        return `Sender is authorized${byDefault} ${use} ${why}`
      case 'fail':
        return `Sender is not authorized${byDefault} ${use} ${why}`
      case 'softfail':
        return (
          `Sender is not authorized${byDefault} ${use}, however domain is not currently ` +
          `prepared for false failures ${why}`
        )
      case 'none':
        return NO_POLICY
      default:
        return `Domain does not state whether sender is authorized ${use} ${why}`
    }
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

  /** check_host() for the target of an include or a redirect, which has to have a policy. */
  async #checkTarget(domain: string): Promise<Finding> {
    this.#depth++
    const finding = await this.#checkHost(domain)
    if (finding.result === 'none') throw new SpfFailure('permerror', NO_POLICY)
    return finding
  }

  async #record(): Promise<SpfRecord | undefined> {
    if (!canBeAsked(this.#domain)) return undefined
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
    const names = exchangers.map(({ exchange }) => withoutDot(exchange)).filter(canBeAsked)
    for (let first = 0; first < names.length; first += NAMES_AT_ONCE) {
      const asked = names
        .slice(first, first + NAMES_AT_ONCE)
        .map(name => ({ name, answer: this.#ask(name, type) }))
      for (const { name, answer } of asked) {
        if (this.#isOneOf(this.#found(await answer, type, name), lengths)) return true
      }
    }
    return false
  }

  /** The names of the client that can be believed: they lead back to its address. */
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
    const asked = names.filter(canBeAsked)
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
    // Where it is too long, labels on the left go (RFC 7208 7.3).
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
        return helo
      case 'c':
        return canonicalAddress(address) ?? address
      case 'r':
        return receiver
      case 't':
        return String(Math.floor(this.#clock.now() / 1000))
    }
  }

  /** The domain's explanation; undefined where it cannot be had. */
  async #authority(exp: MacroText): Promise<string | undefined> {
    const target = await this.#target(exp)
    if (!canBeAsked(target)) return undefined
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
    return canBeAsked(name) ? this.#found(await this.#ask(name, type), type, name) : []
  }

  #found<T extends DnsType>(answer: DnsAnswer<T>, type: T, name: string): Records<T> {
    const { outcome, records } = this.#answered(answer, type, name)
    if (outcome === 'empty') this.#countVoid()
    return records
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

function withoutDot(name: string): string {
  return name.endsWith('.') ? name.slice(0, -1) : name
}

/** A domain of a mail address as the DNS knows it. */
function asciiDomain(domain: string): string {
  return /[^ -~]/.test(domain) ? domainToASCII(domain) : domain
}

/** Could there be a record for it? Not for an address literal, or a single label (RFC 7208 4.3). */
function isMailDomain(domain: string): boolean {
  return canBeAsked(domain) && /^[\w-]+(?:\.[\w-]+)*\.(?!\d+$)[\w-]+$/.test(domain)
}

function canBeAsked(name: string): boolean {
  return name.length <= 253 && /^[\x20-\x7e]+$/.test(name) && name.split('.').every(isLabel)
}

function isLabel(label: string): boolean {
  return label.length > 0 && label.length <= 63
}

/** The domain itself, or a name in it. */
function isBelow(name: string, domain: string): boolean {
  return `.${name.toLowerCase()}`.endsWith(`.${domain.toLowerCase()}`)
}

/** The macro %{i}: bytes of IPv4, hexadecimal digits of IPv6, with dots between them. */
function dotted(address: AddressGroups, reversed: boolean): string {
  const parts = address.flatMap(group =>
    address.length === 2
      ? [group >> 8, group & 255].map(String)
      : [...group.toString(16).toUpperCase().padStart(4, '0')],
  )
  return (reversed ? parts.reverse() : parts).join('.')
}
