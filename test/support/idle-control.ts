/** A daemon at the other end of the control socket that has nothing to say; tests replace what they need. */

import type { Control } from '../../daemon/control/control.ts'

export const idleControl: Control = {
  status: () => {
    throw new Error('not expected in this test')
  },
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
