/**
 * Puts the adapters of lookup/ and store/ behind the ports that plugins know. What was opened on
 * behalf of a configuration is closed with it; the resolver and the GeoIP databases outlive it.
 */

import { readFileSync } from 'node:fs'
import type { ServiceOptions } from './config/services.ts'
import type { CountryPool } from './lookup/country-pool.ts'
import { jailer } from './lookup/fail2ban.ts'
import type { CountryDatabase } from './lookup/geoip.ts'
import { httpPost } from './lookup/http-post.ts'
import { ldapDirectory } from './lookup/ldap.ts'
import { policyService } from './lookup/policy-service.ts'
import { recipientProbe } from './lookup/smtp-probe.ts'
import { spfChecker } from './lookup/spf.ts'
import { openPlainTable, openTable } from './lookup/table.ts'
import type { Clock } from './policy/clock.ts'
import type { Resolver } from './policy/dns.ts'
import type { Outside } from './policy/outside.ts'
import { sqlConnection } from './store/dsn.ts'
import { memcachedStore } from './store/memcached.ts'
import { memorySessions } from './store/memory-sessions.ts'
import { redisStore } from './store/redis.ts'
import { storedSessions } from './store/stored-sessions.ts'

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
    readFile: path => readFileSync(path, 'utf8'),
    dns,
    spf: limits => spfChecker(dns, limits, clock),
    openTable: name => closing(openTable(name)),
    openPlainTable: path => closing(openPlainTable(path)),
    policyService: (endpoint, keepalive) => closing(policyService(endpoint, keepalive)),
    jailer,
    httpPost,
    probeRecipient: recipientProbe(),
    services: {
      openSql: settings => closing(sqlConnection(settings)),
      openMemcached: settings => closing(memcachedStore(settings)),
      openRedis: settings => closing(redisStore(settings)),
      openDirectory: settings => closing(ldapDirectory(settings)),
      memorySessions: (expireSeconds, lockSeconds) =>
        memorySessions({ expireSeconds, lockSeconds }, clock.now),
      storedSessions: (store, expireSeconds, lockSeconds) =>
        storedSessions(store, { expireSeconds, lockSeconds }),
    },
    close() {
      for (const close of closers) close()
    },
  }
}
