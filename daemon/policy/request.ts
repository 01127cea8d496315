/**
 * One request of Postfix's policy delegation protocol (SMTPD_POLICY_README), read once.
 *
 * Unknown and missing attributes are normal: older Postfix versions send fewer. A missing
 * attribute and an empty one are told apart, because configurations of mtpolicyd may rely on it.
 */

import { accountName } from './account.ts'

/** The socket a request came in on. What one smtpd process asks arrives on one connection. */
export interface Connection {
  /** Unique in the life of the process. */
  readonly id: number
  /** Port number or socket path the client connected to: the key of a <VirtualHost>. */
  readonly endpoint: string
}

/** What Postfix sent, in the order it came; a name occurs once. */
export interface Attributes extends Iterable<[name: string, value: string]> {
  get(name: string): string | undefined
}

/** A stage of SMTP at which there is something to count. */
export type Stage = 'RCPT' | 'DATA' | 'END-OF-MESSAGE'

const ZERO = 48

export class PolicyRequest {
  readonly attributes: Attributes
  readonly connection: Connection
  #stage: Stage | '' | undefined
  #account = ''
  #defaultDomain: string | undefined

  constructor(attributes: Attributes, connection: Connection) {
    this.attributes = attributes
    this.connection = connection
  }

  /** Value of an attribute; undefined if Postfix did not send it. */
  get(name: string): string | undefined {
    return this.attributes.get(name)
  }

  /** Value of an attribute, with missing and empty taken as the same. */
  text(name: string): string {
    return this.attributes.get(name) ?? ''
  }

  /** Undefined: at this stage, such as CONNECT or VRFY, there is nothing to count. */
  get stage(): Stage | undefined {
    this.#stage ??= stageOf(this.text('protocol_state'))
    return this.#stage || undefined
  }

  /** Whose mail it is (`accountName`): the plugins of a chain ask one after the other. */
  account(defaultDomain: string): string {
    if (defaultDomain !== this.#defaultDomain) {
      this.#defaultDomain = defaultDomain
      this.#account = accountName(this.text('sasl_username'), defaultDomain)
    }
    return this.#account
  }

  /** A count or size: digits, at most 2^53 - 1; anything else is 0, as Postfix sends for "unknown". */
  count(name: string): number {
    const text = this.text(name)
    let count = 0
    for (let i = 0; i < text.length; i++) {
      const digit = text.charCodeAt(i) - ZERO
      if (!(digit >= 0 && digit <= 9)) return 0
      count = count * 10 + digit
    }
    return Math.min(count, Number.MAX_SAFE_INTEGER)
  }
}

function stageOf(state: string): Stage | '' {
  switch (state) {
    case 'END-OF-MESSAGE':
      return 'END-OF-MESSAGE'
    case 'DATA':
      return 'DATA'
    case 'RCPT':
      return 'RCPT'
    default:
      return ''
  }
}
