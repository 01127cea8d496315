/** The commands that `mtpolicyctl why` shows let the mail pass: for each limit, country and block. */

import t from 'tap'
import { CHINESE, checkRemedies, type Situation } from '../support/remedies.ts'

const DAY = { 'mtpolicyd/threshold': '5' }

const cases: Readonly<Record<string, Situation>> = {
  'a day': { variables: DAY, before: 2 },
  'a day on which nothing may be sent': { variables: { 'mtpolicyd/user/alice/threshold': '0' } },
  'any 24 hours': { variables: { 'mtpolicyd/threshold/rolling': '5' }, before: 2 },
  'an hour and a minute': {
    variables: { 'mtpolicyd/threshold/hour': '5', 'mtpolicyd/threshold/minute': '5' },
    before: 2,
    further: ['minute (SendingLimit)'],
  },
  'a day, and the server': {
    variables: { ...DAY, 'mtpolicyd/server/threshold': '4' },
    before: 2,
    further: ['server (SendingLimit)'],
  },
  'a day, and a block that came later': {
    variables: DAY,
    before: 2,
    orders: ['mtpolicyctl block alice'],
    further: ['limit (SendingLimit)'],
  },
  'a message, and a day': {
    variables: { 'mtpolicyd/threshold/message': '1', 'mtpolicyd/threshold': '1' },
    mail: { sasl_username: 'Alice@Example.ORG' },
    further: ['limit (SendingLimit)'],
  },
  'a message of users of a domain': {
    variables: { 'mtpolicyd/domain/example.org/user/threshold/message': '1' },
    mail: { sasl_username: 'Alice@Example.ORG' },
  },
  'a domain with an umlaut': {
    variables: { 'mtpolicyd/domain/müller.example/threshold': '5' },
    mail: { sasl_username: 'jürgen@müller.example' },
    before: 2,
  },
  'the users of a domain, a minute': {
    variables: { 'mtpolicyd/domain/example.org/user/threshold/minute': '5' },
    mail: { sasl_username: 'alice@example.org' },
    before: 2,
  },
  'the server, an hour, deferred': {
    variables: { 'mtpolicyd/server/threshold/hour': '5', 'mtpolicyd/excess': 'defer' },
    before: 2,
  },
  'a country, and a day': {
    variables: { 'mtpolicyd/threshold': '1' },
    mail: { client_address: CHINESE },
    further: ['limit (SendingLimit)'],
  },
  'a country and a hold': {
    variables: { 'mtpolicyd/threshold': '1', 'mtpolicyd/excess': 'hold' },
    mail: { client_address: CHINESE },
    passes: /^hold/,
  },
  'no country': {
    variables: { 'mtpolicyd/unknowncountry': 'refuse' },
    mail: { client_address: '3fff:abcd::1' },
  },
}

for (const [name, situation] of Object.entries(cases)) {
  t.test(name, { timeout: 90_000 }, t => checkRemedies(t, situation))
}
