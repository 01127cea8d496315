/** What is measured of the ledger. */

import type { MeterDeclaration, Meters } from '../policy/ports/meters.ts'
import type { Footing } from './footing.ts'
import type { LedgerFigures, LedgerSlot } from './slot.ts'

type Read = (figures: LedgerFigures) => number

const TOTALS: readonly (MeterDeclaration & { readonly read: Read })[] = [
  {
    name: 'ledger_messages',
    unit: 'messages',
    help: 'Messages that were counted, each once; also those whose counts were given back later.',
    read: ({ tally }) => tally.counted,
  },
  {
    name: 'ledger_recipients',
    unit: 'recipients',
    help: 'Recipients of the messages that were counted.',
    read: ({ tally }) => tally.recipients,
  },
  {
    name: 'ledger_messages_refused',
    unit: 'messages',
    help: 'Messages that a limit kept from being counted.',
    read: ({ tally }) => tally.refused,
  },
  {
    name: 'ledger_messages_given_back',
    unit: 'messages',
    help: 'Messages whose counts were given back, because they were refused after all.',
    read: ({ tally }) => tally.givenBack,
  },
  {
    name: 'ledger_journal_bytes',
    unit: 'bytes',
    help: 'Written to the journal of counts.',
    read: ({ journalBytes }) => journalBytes,
  },
  {
    name: 'ledger_foldings',
    unit: 'foldings',
    help: 'How often the counts were written from memory to the ledger file.',
    read: ({ foldings }) => foldings,
  },
]

const GAUGES: typeof TOTALS = [
  {
    name: 'ledger_subjects',
    unit: 'subjects',
    help: 'Accounts, domains and other subjects whose counts are in memory.',
    read: ({ subjects }) => subjects,
  },
  {
    name: 'ledger_memory_bytes',
    unit: 'bytes',
    help: 'Memory for counts and the names they belong to.',
    read: ({ bytes }) => bytes,
  },
  {
    name: 'ledger_unfolded_bytes',
    unit: 'bytes',
    help: 'Journal that is not in the ledger file yet: what a start after a crash has to read.',
    read: ({ unfoldedBytes }) => unfoldedBytes,
  },
  {
    name: 'ledger_open_messages',
    unit: 'messages',
    help: 'Messages between their first recipient and their end, with what is reserved for them.',
    read: ({ openMessages }) => openMessages,
  },
]

const STATE: MeterDeclaration = {
  name: 'ledger_state',
  unit: 'states',
  help: '1 for where counts are kept now: in the file, in a temporary copy, in memory only; or closed (not used).',
}
const STATES: readonly Footing['kind'][] = ['file', 'copy', 'memory', 'closed']

const DURABLE: MeterDeclaration = {
  name: 'ledger_durable',
  unit: 'booleans',
  help: '1: the latest counts are on disk; 0: they are in memory only.',
}

export function measureLedger(meters: Meters, slot: LedgerSlot): void {
  const reader = (read: Read) => (): number => {
    const figures = slot.figures()
    return figures ? read(figures) : Number.NaN
  }
  for (const { read, ...declaration } of TOTALS) meters.total(declaration, reader(read))
  for (const { read, ...declaration } of GAUGES) meters.gauge(declaration, reader(read))
  for (const state of STATES) {
    meters.gauge(STATE, () => (slot.footing === state ? 1 : 0), { state })
  }
  meters.gauge(DURABLE, () => {
    if (slot.footing === 'closed') return Number.NaN
    return slot.isDurable ? 1 : 0
  })
}
