/**
 * A trace as a busy submission service leaves it: several connections at once, messages with RCPT, DATA and
 * END-OF-MESSAGE, some given up, some tried again, accounts of very different habits. The same seed makes
 * the same trace.
 */

export interface RecordedOptions {
  readonly count: number
  /** Milliseconds since 1970. */
  readonly begin: number
  readonly hours: number
  readonly seed: number
  readonly accounts?: number
}

/** Connections at the same time. */
const AT_ONCE = 24

/** Numbers from 0 to 1 (mulberry32). */
function randomOf(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

export function recordedRequests(options: RecordedOptions): string[] {
  const { count, begin, hours, seed, accounts = 40 } = options
  const random = randomOf(seed)
  const pick = (most: number): number => Math.floor(random() * most)
  const chance = (share: number): boolean => random() < share
  const made: { name: string; left: Iterator<Record<string, string>> }[] = []
  let names = 0
  let messages = 0

  function* messageOf(account: string): Generator<Record<string, string>> {
    messages++
    const port = chance(0.1) ? '25' : chance(0.2) ? '465' : '587'
    const common = {
      request: 'smtpd_access_policy',
      protocol_name: 'ESMTP',
      helo_name: 'client.example.net',
      sender: `${account}@example.org`,
      client_address: chance(0.03) ? `203.0.113.${pick(250)}` : `198.51.100.${pick(250)}`,
      client_name: 'client.example.net',
      instance: `${messages.toString(16)}.${pick(1e6).toString(16)}.0`,
      sasl_method: 'PLAIN',
      sasl_username: chance(0.2)
        ? account.toUpperCase()
        : `${account}@d${account.length % 3}.example`,
      server_address: '192.0.2.1',
      server_port: port,
    }
    const most = account.startsWith('news') ? 30 : 4
    const recipients = 1 + pick(most)
    const asksAtRcpt = port === '25' || chance(0.7)
    const at = (state: string, more: Record<string, string>): Record<string, string> => {
      return { ...common, protocol_state: state, ...more }
    }
    if (asksAtRcpt) {
      for (let i = 0; i < recipients; i++) {
        const rcpt = at('RCPT', { recipient: `r${i}@example.net`, recipient_count: '0', size: '0' })
        yield rcpt
        if (chance(0.05)) yield rcpt
      }
      if (chance(0.1)) return
    }
    if (port === '25') return
    const recipient = recipients === 1 ? 'r0@example.net' : ''
    const counted = { recipient, recipient_count: String(recipients) }
    if (chance(0.3)) yield at('DATA', { ...counted, size: '0' })
    const size = String(1000 + pick(chance(0.02) ? 20_000_000 : 60_000))
    const end = at('END-OF-MESSAGE', { ...counted, size, queue_id: `Q${messages}` })
    yield end
    if (chance(0.05)) yield end
  }

  function* connectionOf(): Generator<Record<string, string>> {
    for (let left = 1 + pick(6); left > 0; left--) {
      const account = chance(0.1) ? `news${pick(3)}` : `user${pick(accounts)}`
      yield* messageOf(account)
    }
  }

  const lines: string[] = []
  const step = (hours * 3_600_000) / count
  let time = begin
  while (lines.length < count) {
    while (made.length < AT_ONCE) made.push({ name: `c${++names}`, left: connectionOf() })
    const at = pick(made.length)
    const chosen = made[at]
    const next = chosen?.left.next()
    if (!chosen || next?.done !== false) {
      made.splice(at, 1)
      continue
    }
    time += random() * 2 * step
    const record = { t: Math.round(time), conn: chosen.name, request: next.value }
    lines.push(JSON.stringify(record))
  }
  return lines
}
