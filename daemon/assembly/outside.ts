/**
 * Puts the adapters of lookup/ and remote/ behind the ports that plugins know. What was opened for a
 * configuration is closed with it; the resolver and the GeoIP databases outlive it.
 */

import { readFileSync } from 'node:fs'
import type { ServiceOptions } from '../config/services.ts'
import type { CountryPool } from '../lookup/country-pool.ts'
import { jailer } from '../lookup/fail2ban.ts'
import type { CountryDatabase } from '../lookup/geoip.ts'
import { httpPost } from '../lookup/http-post.ts'
import { policyService } from '../lookup/policy-service.ts'
import { recipientProbe } from '../lookup/smtp-probe.ts'
import { spfChecker } from '../lookup/spf.ts'
import { openPlainTable, openTable } from '../lookup/table.ts'
import type { Resolver } from '../policy/ports/dns.ts'
import type { Outside } from '../policy/ports/outside.ts'
import { sqlConnection } from '../remote/dsn.ts'
import { ldapDirectory } from '../remote/ldap.ts'
import { memcachedStore } from '../remote/memcached.ts'
import { memorySessions } from '../remote/memory-sessions.ts'
import { redisStore } from '../remote/redis.ts'
import { storedSessions } from '../remote/stored-sessions.ts'
import type { Clock } from '../system/clock.ts'
import { plainText } from '../text/plain-text.ts'

export interface OutsideOptions {
  readonly clock: Clock
  readonly dns: Resolver
  readonly countries: CountryPool
  /** The GeoIP database of the default policy. */
  readonly countryFile: string
}

export interface OpenOutside extends Outside {
  readonly countries: CountryDatabase
  readonly services: ServiceOptions
  close(): void
}

export function openOutside({ clock, dns, countries, countryFile }: OutsideOptions): OpenOutside {
  const closers: (() => void)[] = []

  function closing<T extends { close(): void }>(opened: T): T {
    closers.push(() => opened.close())
    return opened
  }

  function openCountries(path: string): CountryDatabase {
    const { database, release } = countries.open(path)
    closers.push(release)
    return database
  }

  return {
    countries: openCountries(countryFile),
    openCountries,
    readFile: path => plainText(readFileSync(path, 'utf8')),
    dns,
    spf: limits => spfChecker(dns, limits, clock),
    openTable: name => closing(openTable(name, clock)),
    openPlainTable: path => closing(openPlainTable(path)),
    policyService: (endpoint, keepalive) => closing(policyService(endpoint, keepalive, clock)),
    jailer,
    httpPost,
    probeRecipient: recipientProbe(),
    services: {
      openSql: settings => closing(sqlConnection(settings, clock)),
      openMemcached: settings => closing(memcachedStore(settings, clock)),
      openRedis: settings => closing(redisStore(settings, clock)),
      openDirectory: settings => closing(ldapDirectory(settings, clock)),
      memorySessions: (expireSeconds, lockSeconds) =>
        memorySessions({ expireSeconds, lockSeconds }, clock),
      storedSessions: (store, expireSeconds, lockSeconds) =>
        storedSessions(store, { expireSeconds, lockSeconds }, clock),
    },
    close() {
      for (const close of closers) close()
    },
  }
}
