/** The session's cookie (RFC 6265bis). */

/** Where the console is, as a browser sees it. */
export interface CookiePlace {
  /** Empty, or a path such as `/mail`. */
  readonly prefix: string
  /** The port as it is written, so that two daemons on a host do not take each other's; empty: a unix socket. */
  readonly port: string
}

/**
 * `__Host-`: a browser takes it only over an encrypted connection, for this host and no other; with a
 * prefix `__Secure-`, which is for a path. Without encryption, as on localhost, browsers take neither.
 */
function nameOf({ prefix, port }: CookiePlace, isEncrypted: boolean): string {
  const kind = isEncrypted ? (prefix === '' ? '__Host-' : '__Secure-') : ''
  return `${kind}mtpolicyd${port === '' ? '' : `-${port}`}`
}

/** The values of all our cookies in the header: an attacker's may be beside the real one. */
export function cookiesIn(header: string, place: CookiePlace, isEncrypted: boolean): string[] {
  const start = `${nameOf(place, isEncrypted)}=`
  return header
    .split(';')
    .map(one => one.trim())
    .filter(one => one.startsWith(start))
    .map(one => one.slice(start.length))
}

/** @param value undefined: the cookie is deleted. */
export function setCookie(
  value: string | undefined,
  place: CookiePlace,
  isEncrypted: boolean,
): string {
  return [
    `${nameOf(place, isEncrypted)}=${value ?? ''}`,
    `Path=${place.prefix === '' ? '/' : place.prefix}`,
    'HttpOnly',
    'SameSite=Strict',
    ...(isEncrypted ? ['Secure'] : []),
    ...(value === undefined ? ['Max-Age=0'] : []),
  ].join('; ')
}
