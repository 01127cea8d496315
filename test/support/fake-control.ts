/** What a daemon without history, limits and mail would answer: for tests of something else. */

import type { Control } from '../../daemon/control/control.ts'

export const idleControl: Omit<Control, 'status'> = {
  reload: () => [],
  async *watch() {},
  explain: () => ({ action: 'dunno', by: '', steps: [], objections: [] }),
  top: ({ since }) => ({ since, until: since, senders: [] }),
  user: ({ name }) => ({
    account: name,
    observes: false,
    limits: [],
    measures: [],
    history: { state: 'off' },
    countries: [],
    networks: [],
    messages: [],
    refusals: [],
  }),
  accounts: () => [],
  codes: () => [],
}
