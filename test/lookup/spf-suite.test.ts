/**
 * The test suite of RFC 7208 (release 2014.04), every case of it. It lies in the documentation of
 * Debian's python3-spf and is read from there.
 */

import { existsSync, readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import t from 'tap'
import { parseAllDocuments } from 'yaml'
import { spfChecker } from '../../daemon/lookup/spf.ts'
import { systemClock } from '../../daemon/system/clock.ts'
import { type ZoneData, type ZoneRecord, zones } from '../support/zones.ts'

const SUITE = '/usr/share/doc/python3-spf/rfc7208-tests.yml.gz'
const LIMITS = { terms: 10, namesPerTerm: 10, voids: 2 }

interface Case {
  readonly helo: string
  readonly host: string
  readonly mailfrom: string
  readonly result: string | readonly string[]
  readonly explanation?: string
}

interface Scenario {
  readonly description: string
  readonly tests: Readonly<Record<string, Case>>
  readonly zonedata: ZoneData
}

/** Absent on a laptop is a skipped test; CI promised it. */
function skipReason(): string | false {
  if (existsSync(SUITE)) return false
  const reason = `${SUITE} is missing: apt install python3-spf`
  if (process.env.CI) throw new Error(reason)
  return reason
}

/** Where a name has SPF records and no TXT, the SPF records are its TXT, as the suite says. */
function withTexts(data: ZoneData): ZoneData {
  const names = Object.entries(data).map(([name, records]): [string, readonly ZoneRecord[]] => {
    const hasText = records.some(record => record !== 'TIMEOUT' && 'TXT' in record)
    const list = records.flatMap((record): ZoneRecord[] => {
      if (record === 'TIMEOUT') return [record]
      if (record.TXT === 'NONE') return []
      return record.SPF === undefined || hasText ? [record] : [{ TXT: record.SPF }]
    })
    return [name, list]
  })
  return Object.fromEntries(names)
}

t.test('RFC 7208 test suite', { skip: skipReason() }, async t => {
  let seen = 0
  for (const document of parseAllDocuments(gunzipSync(readFileSync(SUITE)).toString('utf8'))) {
    // The suite is as its schema says; where it is not, a case fails.
    const scenario = document.toJS() as Scenario
    await t.test(scenario.description, async t => {
      for (const [name, { helo, host, mailfrom, result, explanation }] of Object.entries(
        scenario.tests,
      )) {
        seen++
        for (const later of [false, true]) {
          const dns = zones(withTexts(scenario.zonedata), later)
          const verdict = await spfChecker(dns, LIMITS, systemClock).check({
            scope: 'mfrom',
            address: host,
            identity: mailfrom === '' ? `postmaster@${helo}` : mailfrom,
            helo,
            receiver: 'receiver.example.org',
          })
          const allowed = [result].flat()
          t.ok(
            allowed.includes(verdict.result),
            `${name}: ${verdict.result} is ${allowed.join(' or ')}`,
            { explanation: verdict.explanation },
          )
          if (explanation !== undefined) {
            t.equal(verdict.authority ?? 'DEFAULT', explanation, `${name}: explanation`)
          }
        }
      }
    })
  }
  t.equal(seen, 203)
})
