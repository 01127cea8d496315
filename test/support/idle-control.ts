/** A daemon at the other end of the control socket that has nothing to say; tests replace what they need. */

import type { Control } from '../../daemon/control/control.ts'

const unexpected = (): never => {
  throw new Error('not expected in this test')
}

export const idleControl: Control = {
  status: unexpected,
  reload: () => [],
  async *watch() {},
  async *sample() {},
  async *requests() {},
  async *hours() {},
  explain: () => ({ action: 'dunno', by: '', steps: [], objections: [] }),
  why: () => ({
    refusal: undefined,
    others: [],
    days: 90,
    origin: 'variables',
    decider: undefined,
  }),
  order: unexpected,
  release: unexpected,
  reset: unexpected,
  measures: () => ({ items: [], hasMore: false }),
  endedMeasures: () => ({ items: [], hasMore: false }),
  top: unexpected,
  user: unexpected,
  accounts: () => [],
  codes: () => [],
  forget: () => undefined,
  findings: () => [],
  alerts: () => ({ state: 'off', alerts: [], inForce: [] }),
  alertTest: unexpected,
  webLogin: unexpected,
  webTokens: unexpected,
  webTokenAdd: unexpected,
  webTokenRemove: unexpected,
  series: unexpected,
  countries: unexpected,
  refusalList: unexpected,
}
