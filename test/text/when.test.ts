/** Moments as an administrator types them. */

import t from 'tap'
import { momentText, readSince, readUntil } from '../../daemon/text/when.ts'

const NOW = new Date(2026, 11, 1, 12, 0).getTime()
const HOUR = 3_600_000

t.test('a time to come is a span from now, a date, or a date with a time', async t => {
  t.equal(readUntil('+2h', NOW), NOW + 2 * HOUR)
  t.equal(readUntil('+3d', NOW), NOW + 72 * HOUR)
  t.equal(readUntil('2026-12-01T18:30', NOW), NOW + 6.5 * HOUR)
  t.equal(readUntil('2026-12-01 18:30', NOW), NOW + 6.5 * HOUR)
})

t.test('until a date means until that day is over', async t => {
  t.equal(readUntil('2026-12-01', NOW), new Date(2026, 11, 2).getTime())
})

t.test('since a date means since that day began', async t => {
  t.equal(readSince('2026-11-30', NOW), new Date(2026, 10, 30).getTime())
  t.equal(readSince('24h', NOW), NOW - 24 * HOUR)
  t.equal(readSince('1w', NOW), NOW - 168 * HOUR)
})

t.test('a time that has passed is no end, and one to come is no beginning', async t => {
  t.equal(readUntil('2026-11-30', NOW), undefined)
  t.equal(readUntil('2026-12-01T12:00', NOW), undefined)
  t.equal(readSince('2026-12-02', NOW), undefined)
})

t.test('what is no time is not taken for one', async t => {
  for (const text of [
    '',
    '2h',
    '+2',
    '+0h',
    '2026-02-30',
    '2026-13-01',
    '2026-12-01T24:00',
    '+9999w',
  ]) {
    t.equal(readUntil(text, NOW), undefined, text)
  }
  for (const text of ['', '24', '+24h', '0h', '2026-02-30', 'yesterday']) {
    t.equal(readSince(text, NOW), undefined, text)
  }
})

t.test('a moment is shown so that it can be typed', async t => {
  t.equal(momentText(NOW), '2026-12-01 12:00')
  t.equal(readSince(momentText(NOW), NOW), NOW)
})
