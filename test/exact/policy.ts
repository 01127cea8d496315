/** The limits of `make exact`: four counters of everything, and of each somebody who exceeds it. */

import type { CalendarUnit } from '../../daemon/policy/calendar.ts'
import type { Rolling } from '../../daemon/policy/ports/ledger.ts'

export const HOME = 'mail.example.org'
const SMALL = 'small.example.org'

const USERS_AT_HOME = 10
/** Sends the last mail of all, which the milter refuses. */
export const LAST = `last@${HOME}`
/** As Postfix reports them. */
export const LOGINS: readonly string[] = [
  ...Array.from({ length: USERS_AT_HOME }, (_, i) => `user${i}@${HOME}`),
  `user0@${SMALL}`,
  `user1@${SMALL}`,
]

interface Counting {
  readonly lines: string
  readonly window: CalendarUnit | Rolling
  readonly limited: string
  subjectOf(login: string): string
}

const same = (login: string): string => login

/** By the counter's name. None of the rolling ones lets go of anything while the mail is sent. */
export const COUNTERS = {
  day: { lines: '', window: 'day', limited: `user0@${HOME}`, subjectOf: same },
  hour: {
    lines: 'window = "1h"',
    window: { milliseconds: 3_600_000 },
    limited: `user1@${HOME}`,
    subjectOf: same,
  },
  'half-hour': {
    lines: 'window = "30m"',
    window: { milliseconds: 1_800_000 },
    limited: `user2@${HOME}`,
    subjectOf: same,
  },
  domain: {
    lines: 'per = "domain"',
    window: 'day',
    limited: SMALL,
    subjectOf: login => login.slice(login.indexOf('@') + 1),
  },
} as const satisfies Record<string, Counting>

export type Counter = keyof typeof COUNTERS

export const counters = Object.keys(COUNTERS) as readonly Counter[]

export interface PolicyOptions {
  readonly port: number
  /** Postfix's log. */
  readonly maillog: string
  /** Of those who exceed it. */
  readonly limit: number
}

export function policyText({ port, maillog, limit }: PolicyOptions): string {
  const blocks = counters.map(name => {
    const { lines, limited } = COUNTERS[name]
    const type = limited.includes('@') ? 'User' : 'Domain'
    return `  <Plugin ${name}>
    module = "SendingLimit"
    threshold = unlimited
    ${lines}
    <${type} ${limited}>
      threshold = ${limit}
    </${type}>
  </Plugin>
`
  })
  return `port = "127.0.0.1:${port}"
maillog = "${maillog}"
<VirtualHost ${port}>
  name = "submission"
${blocks.join('')}</VirtualHost>
`
}
