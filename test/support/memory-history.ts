/** A history that is what a test says, for what asks one. */

import type {
  AccountHistory,
  History,
  HistoryStatus,
  Refusal,
  SeenMessage,
  SenderSums,
} from '../../daemon/policy/ports/history.ts'

export interface Remembered {
  readonly senders?: readonly SenderSums[]
  readonly accounts?: readonly AccountHistory[]
  readonly status?: Partial<HistoryStatus>
  /** Nothing can be read, and this is why. */
  readonly broken?: string
}

export function sums(account: string, more: Partial<SenderSums> = {}): SenderSums {
  const none = { messages: 0, recipients: 0, refused: 0, bytes: 0, countries: [], networks: 0 }
  return { account, ...none, ...more }
}

export function past(account: string, more: Partial<AccountHistory> = {}): AccountHistory {
  const none = { countries: [], networks: [], clients: [], messages: [], refusals: [] }
  return { account, ...none, ...more }
}

export function message(at: number, more: Partial<SeenMessage> = {}): SeenMessage {
  return {
    at,
    instance: 'a.1',
    queueId: '4Z1',
    client: '198.51.100.7',
    country: 'DE',
    recipients: 1,
    bytes: 1000,
    action: 'dunno',
    by: '',
    code: '',
    ...more,
  }
}

export function refusal(at: number, code: string, more: Partial<Refusal> = {}): Refusal {
  return {
    code,
    at,
    account: 'alice',
    country: 'CN',
    recipients: 1,
    bytes: 1000,
    host: 'default',
    action: 'reject 5.7.1 Mail from this country is not accepted',
    by: 'countries',
    why: 'decided',
    facts: { country: 'CN' },
    attributes: { sasl_username: 'alice' },
    steps: undefined,
    ...more,
  }
}

export function memoryHistory({ senders = [], accounts = [], ...rest }: Remembered = {}): History {
  const status: HistoryStatus = {
    state: 'ok',
    problem: undefined,
    days: 90,
    gaps: [],
    ...rest.status,
  }
  const read = async <T>(value: T): Promise<T> => {
    if (rest.broken !== undefined) throw new Error(rest.broken)
    return value
  }
  const refusals = accounts.flatMap(one => one.refusals)
  return {
    note: () => undefined,
    nextCode: () => 'AAA-AAA',
    explained: () => undefined,
    top: ({ by, most }) => read(senders.toSorted((a, b) => b[by] - a[by]).slice(0, most)),
    account: name => read(accounts.find(({ account }) => account === name)),
    refusals: key => read(refusals.filter(({ code }) => 'code' in key && key.code === code)),
    accounts: (prefix, most) =>
      read(
        [...accounts, ...senders]
          .map(({ account }) => account)
          .filter(name => name.startsWith(prefix))
          .slice(0, most),
      ),
    recentCodes: (prefix, most) =>
      read(
        refusals
          .map(({ code }) => code)
          .filter(code => code.startsWith(prefix))
          .slice(0, most),
      ),
    async *hours() {},
    series: async since => ({ first: since, messages: [0], recipients: [0], refused: [0] }),
    countries: async () => [],
    refusalPage: async () => ({ refusals: [], next: undefined, reached: undefined }),
    forget: () => read(undefined),
    status: () => status,
  }
}
