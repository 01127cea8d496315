/** The commands that `mtpolicyctl why` shows let the mail pass: whatever the account is called, and in files of one's own. */

import t from 'tap'
import { CHINESE, checkRemedies, type Situation } from '../support/remedies.ts'
import { plugin } from '../support/world.ts'

const DAY = { 'mtpolicyd/threshold': '5' }
const DEFAULT_DOMAIN = { 'mtpolicyd/defaultdomain': 'example.org' }
const limit = (text: string, name: string): string => plugin('SendingLimit', text, name)

const cases: Readonly<Record<string, Situation>> = {
  'a name that no variable can have': {
    variables: DAY,
    mail: { sasl_username: 'DOMAIN\\alice' },
    before: 2,
  },
  'a name that no variable can have, and its country': {
    mail: { sasl_username: 'DOMAIN\\alice', client_address: CHINESE },
  },
  'a name that begins like an option': {
    variables: DAY,
    mail: { sasl_username: '-O’Brien $HOME' },
    before: 2,
  },
  'an account whose variables have the default domain': {
    variables: { ...DEFAULT_DOMAIN, 'mtpolicyd/user/alice@example.org/threshold': '5' },
    before: 2,
  },
  'an account whose list of countries has the default domain': {
    variables: { ...DEFAULT_DOMAIN, 'mtpolicyd/user/alice@example.org/allowedcountries': 'AT' },
    mail: { sasl_username: 'ALICE@example.org' },
  },
  'an account whose limit of a message has the default domain': {
    variables: { ...DEFAULT_DOMAIN, 'mtpolicyd/user/alice@example.org/threshold/message': '1' },
  },
  'an account whose networks have the default domain': {
    variables: {
      ...DEFAULT_DOMAIN,
      'mtpolicyd/unknowncountry': 'refuse',
      'mtpolicyd/user/alice@example.org/allowednetworks': '198.51.100.0/24',
    },
    mail: { client_address: '240.1.2.3' },
  },
  'a login with the default domain, whose day is set without': {
    variables: {
      ...DEFAULT_DOMAIN,
      'mtpolicyd/user/alice/threshold': '5',
      'mtpolicyd/user/alice/threshold/message': '1',
    },
    mail: { sasl_username: 'alice@example.org' },
  },
  'recipients and messages of a file of one’s own': {
    plugins: limit('threshold = 5', 'one') + limit('threshold = 2\nunit = messages', 'two'),
    before: 2,
    further: ['two (SendingLimit)'],
  },
  'megabytes in a file of one’s own': {
    plugins: limit('threshold = 3\nunit = megabytes', 'size'),
    before: 2,
  },
  'ten minutes in a file of one’s own': {
    plugins: limit('threshold = 5\nwindow = 10m', 'ten'),
    before: 2,
  },
}

for (const [name, situation] of Object.entries(cases)) {
  t.test(name, { timeout: 90_000 }, t => checkRemedies(t, situation))
}
