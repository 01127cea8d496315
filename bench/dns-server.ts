/**
 * A DNS server in which no name exists, and which does not answer queries below dead.example.
 * Prints its port.
 */

import { type DnsZone, startDnsServer } from '../test/support/dns-server.ts'

const zone = new Proxy<DnsZone>(
  {},
  { get: (_, name) => (String(name).endsWith('.dead.example') ? 'DROP' : undefined) },
)
// "No such name" may be cached for an hour.
const dns = await startDnsServer(zone, { negativeTtl: 3600 })
process.stdout.write(`${dns.port}\n`)
