/** A DNS in which no name exists, and nothing below dead.example is answered. Prints its port. */

import { type DnsZone, startDnsServer } from '../test/support/dns-server.ts'

const zone = new Proxy<DnsZone>(
  {},
  { get: (_, name) => (String(name).endsWith('.dead.example') ? 'DROP' : undefined) },
)
// "No such name" may be kept for an hour.
const dns = await startDnsServer(zone, { negativeTtl: 3600 })
process.stdout.write(`${dns.port}\n`)
