/**
 * Can this host open an IPv6 socket at all? Found out by opening one.
 *
 * If the kernel has no IPv6, systemd ignores an IPv6 address of a socket unit. If only the system
 * call is refused, as in some containers, the whole unit would fail, for IPv4 as well.
 */

import { createServer } from 'node:net'

export function hasIPv6(): Promise<boolean> {
  return new Promise(resolve => {
    const probe = createServer()
    // An address may be added later; an address family is not.
    probe.once('error', error => {
      resolve(!('code' in error && error.code === 'EAFNOSUPPORT'))
    })
    probe.listen({ host: '::1', port: 0 }, () => probe.close(() => resolve(true)))
  })
}
