/**
 * Our item in Postfix's restriction lists: how it is written, and how it is recognised again.
 *
 * Lists are split as smtpd splits them: at blanks and commas, `{ … }` is one word, braces nest.
 * An item is ours if the word behind `check_policy_service` names our endpoint, in any spelling:
 * bare or in braces, `localhost`, `127.0.0.1` or `[::1]` for a loopback endpoint.
 */

export interface Endpoint {
  /** As in `mtpolicyd/host`: a name, an address, `localhost`. */
  readonly host: string
  readonly port: number
}

export interface Token {
  readonly text: string
  readonly start: number
  readonly end: number
}

/** The one list that sees authenticated mail once per message with its true recipient count. */
export const END_OF_DATA = 'smtpd_end_of_data_restrictions'

/** `inet:127.0.0.1:12345`. A name would need /etc/hosts inside smtpd's chroot, so loopback is an address. */
export function endpointName({ host, port }: Endpoint): string {
  const plain = host.replace(/^\[(.*)\]$/, '$1')
  if (['', '*', '0.0.0.0', '::', 'localhost'].includes(plain.toLowerCase())) {
    return `inet:127.0.0.1:${port}`
  }
  return plain.includes(':') ? `inet:[${plain}]:${port}` : `inet:${plain}:${port}`
}

/**
 * The item for a Postfix of this version. From 3.0 on it says what happens when the daemon is
 * silent: mail goes on after 5 s. An older Postfix cannot be told, and answers 451.
 */
export function restrictionItem(endpoint: Endpoint, mailVersion: string): string {
  const name = endpointName(endpoint)
  if (Number.parseInt(mailVersion, 10) < 3) return `check_policy_service ${name}`
  return `check_policy_service { ${name}, default_action=DUNNO, timeout=5s }`
}

export function tokenise(value: string): Token[] {
  const tokens: Token[] = []
  const separator = /[\s,]/
  let at = 0
  while (at < value.length) {
    if (separator.test(value[at] ?? '')) {
      at++
      continue
    }
    const start = at
    let depth = 0
    for (; at < value.length; at++) {
      const character = value[at] ?? ''
      if (character === '{') depth++
      if (character === '}') depth = Math.max(0, depth - 1)
      if (depth === 0 && separator.test(character)) break
    }
    tokens.push({ text: value.slice(start, at), start, end: at })
  }
  return tokens
}

/** The items of a list that ask one of these endpoints, each as it is written there. */
export function recognise(value: string, endpoints: readonly Endpoint[]): string[] {
  const tokens = tokenise(value)
  return tokens.flatMap(({ text, start }, i) => {
    const argument = tokens[i + 1]
    return argument && asks(text, argument.text, endpoints)
      ? [value.slice(start, argument.end)]
      : []
  })
}

/** Whether `restriction argument` asks one of these endpoints. */
export function asks(
  restriction: string,
  argument: string | undefined,
  endpoints: readonly Endpoint[],
): boolean {
  if (restriction.toLowerCase() !== 'check_policy_service' || argument === undefined) return false
  const inner = argument.startsWith('{') ? argument.replace(/^\{|\}$/g, '') : argument
  const server = tokenise(inner)[0]?.text ?? ''
  return endpoints.some(endpoint => isSameServer(server, endpoint))
}

function isSameServer(server: string, endpoint: Endpoint): boolean {
  const written = /^inet:(?:\[(.+)\]|(.+)):(\d+)$/i.exec(server)
  const wanted = /^inet:(?:\[(.+)\]|(.+)):(\d+)$/.exec(endpointName(endpoint))
  if (!written || !wanted || Number(written[3]) !== Number(wanted[3])) return false
  const host = (written[1] ?? written[2] ?? '').toLowerCase()
  const ours = (wanted[1] ?? wanted[2] ?? '').toLowerCase()
  return host === ours || (isLoopback(host) && isLoopback(ours))
}

function isLoopback(host: string): boolean {
  return /^(localhost|ip6-localhost|localhost\.localdomain|::1|127(\.\d+){3})$/.test(host)
}
