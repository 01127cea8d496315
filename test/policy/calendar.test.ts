import t from 'tap'
import { calendar } from '../../daemon/policy/calendar.ts'

const HOUR = 3_600_000
/** With days of 23, 24 and 25 hours, one that was left out, and a shift of half an hour. */
const ZONES = ['Europe/Berlin', 'America/Havana', 'Pacific/Apia', 'Australia/Lord_Howe', 'UTC']

for (const zone of ZONES) {
  t.test(`the days of a host in ${zone} are those of the zone`, async t => {
    const before = process.env.TZ
    process.env.TZ = zone
    t.teardown(() => {
      if (before === undefined) delete process.env.TZ
      else process.env.TZ = before
    })
    const ofHost = calendar(undefined)
    const ofZone = calendar(zone)
    let differing = 0
    for (let at = Date.UTC(2011, 11, 20); at < Date.UTC(2013, 0, 10); at += HOUR / 2) {
      const one = ofHost(at)
      const other = ofZone(at)
      if (one.name !== other.name || one.endsAt !== other.endsAt) differing++
    }
    t.equal(differing, 0)
  })
}

t.test('a day ends where the next begins, also when it has another length', async t => {
  const dayOf = calendar('Europe/Berlin')
  const lengthOf = (name: string): number => {
    const noon = dayOf(Date.parse(`${name}T12:00:00Z`))
    t.equal(noon.name, name)
    const yesterday = dayOf(Date.parse(`${name}T12:00:00Z`) - 24 * HOUR)
    return (noon.endsAt - yesterday.endsAt) / HOUR
  }
  t.equal(lengthOf('2026-03-29'), 23)
  t.equal(lengthOf('2026-10-25'), 25)
  t.equal(lengthOf('2026-11-20'), 24)
})
