/**
 * Country databases shared by path: a reload that names the same file does not read it again, and
 * two plugins with one file share it. A database is closed when its last user has released it.
 */

import { type CountryDatabase, type CountryDatabaseOptions, openCountryDatabase } from './geoip.ts'

export interface CountryPool {
  open(path: string): { readonly database: CountryDatabase; release(): void }
}

export function countryPool(log: CountryDatabaseOptions['log']): CountryPool {
  const shared = new Map<string, { readonly database: CountryDatabase; users: number }>()
  return {
    open(path) {
      const entry = shared.get(path) ?? { database: openCountryDatabase({ path, log }), users: 0 }
      shared.set(path, entry)
      entry.users++
      return {
        database: entry.database,
        release() {
          entry.users--
          if (entry.users > 0) return
          shared.delete(path)
          entry.database.close()
        },
      }
    },
  }
}
