/** What `mtpolicyctl alert test` sends. */

import { type Condition, TEST_KIND } from './alert.ts'

export function testCondition(by: string, hostName: string): Condition {
  return {
    kind: TEST_KIND,
    key: '',
    severity: 'note',
    account: '',
    what: {
      en: `this is a test of the alerts of ${hostName}`,
      de: `dies ist ein Test der Benachrichtigungen von ${hostName}`,
      fr: `ceci est un test des alertes de ${hostName}`,
    },
    why: {
      en: `${by} has asked for it (mtpolicyctl alert test)`,
      de: `${by} hat ihn ausgelöst (mtpolicyctl alert test)`,
      fr: `${by} l’a demandé (mtpolicyctl alert test)`,
    },
    remedy: {
      en: 'nothing has to be done',
      de: 'es ist nichts zu tun',
      fr: 'il n’y a rien à faire',
    },
    facts: { by },
  }
}
