/** Every implementation of the `Ledger` port, held to its contract. */

import { cpSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { openLedger } from '../../daemon/ledger/ledger.ts'
import { ledgerSlot } from '../../daemon/ledger/slot.ts'
import { openSqliteLedger } from '../../daemon/ledger/sqlite-ledger.ts'
import type {
  Claim,
  Judgement,
  Ledger,
  LedgerEvent,
  LoggedMessage,
  RequestedMessage,
} from '../../daemon/policy/ports/ledger.ts'
import { MemoryStore } from '../support/memory-store.ts'
import { ledgerContract, type Subject } from './contract.ts'

ledgerContract('the plainest store', () => {
  let store = new MemoryStore()
  return {
    ledger: openLedger(store),
    restarted() {
      store = new MemoryStore(store)
      return openLedger(store)
    },
    close: () => undefined,
  }
})

ledgerContract('in memory', () => {
  const store = openSqliteLedger(':memory:', 'normal')
  return { ledger: openLedger(store), close: () => store.close() }
})

/** What is on the disk is all that a restart has, as after a kill. */
function onDisk(t: Test): Subject {
  const top = t.testdir({ 0: {} })
  let run = 0
  const open = () => openSqliteLedger(join(top, `${run}`, 'ledger.sqlite'), 'normal')
  let store = open()
  return {
    ledger: openLedger(store),
    restarted() {
      cpSync(join(top, `${run}`), join(top, `${run + 1}`), { recursive: true })
      run++
      store.abandon()
      store = open()
      return openLedger(store)
    },
    close: () => store.close(),
  }
}

ledgerContract('SQLite with its journal', onDisk)

ledgerContract('the daemon’s slot, on a file', t => {
  const path = join(t.testdir(), 'ledger.sqlite')
  let slot = ledgerSlot()
  slot.open(path, 'normal', Date.now())
  return {
    ledger: slot.ledger,
    restarted() {
      slot.close()
      slot = ledgerSlot()
      slot.open(path, 'normal', Date.now())
      return slot.ledger
    },
    close: () => slot.close(),
  }
})

ledgerContract('the daemon’s slot, in memory', t => {
  const slot = ledgerSlot()
  slot.open(join(t.testdir({ state: '' }), 'state/ledger.sqlite'), 'normal', Date.now())
  return { ledger: slot.ledger, close: () => slot.close() }
})

/** A ledger on another host, as far as its client can tell: nothing but copies of plain values passes, and later. */
function remote(host: Ledger) {
  const judgements = new Map<number, Judgement>()
  let trips = 0
  /** Method and arguments go there, the result or the error comes back. */
  const call = async <T>(method: string, ...values: unknown[]): Promise<T> => {
    trips++
    const sent = structuredClone({ method, values })
    await new Promise(resolve => setImmediate(resolve))
    return structuredClone(await served(sent.method, sent.values)) as T
  }
  const kept = ({ takeBack, ...plain }: Judgement) => {
    judgements.set(judgements.size, { takeBack, ...plain })
    return { ...plain, id: judgements.size - 1 }
  }
  async function served(
    method: string,
    [first, second, third, fourth]: unknown[],
  ): Promise<unknown> {
    switch (method) {
      case 'judge':
        return kept(await host.judge(first as LedgerEvent))
      case 'takeBack':
        return await judgements.get(first as number)?.takeBack()
      case 'preview':
        return await host.preview(first as LedgerEvent)
      case 'fitsAt':
        return await host.fitsAt(first as LedgerEvent, second as Claim)
      case 'giveBack':
        return await host.giveBack(first as LoggedMessage, second as number)
      case 'takeBackAll':
        return await host.takeBack(first as RequestedMessage, second as number)
      case 'used':
        return await host.used(
          first as string,
          second as string,
          third as Claim['window'],
          fourth as number,
        )
      case 'reset':
        return await host.reset(
          first as string,
          second as string,
          third as Claim['window'],
          fourth as number,
        )
      case 'disconnect':
        return await host.disconnect(first as number)
      case 'expire':
        return await host.expire(first as number)
      case 'settle':
        return await host.settle()
      default:
        return await host.recipientOnlyServices()
    }
  }
  const ledger: Ledger = {
    async judge(event) {
      const { id, ...plain } = await call<ReturnType<typeof kept>>('judge', event)
      return { ...plain, takeBack: () => call<void>('takeBack', id) }
    },
    preview: event => call('preview', event),
    fitsAt: (event, claim) => call('fitsAt', event, claim),
    giveBack: (...what) => call('giveBack', ...what),
    takeBack: (...what) => call('takeBackAll', ...what),
    settle: () => call('settle'),
    disconnect: connection => call('disconnect', connection),
    expire: now => call('expire', now),
    used: (...what) => call('used', ...what),
    reset: (...what) => call('reset', ...what),
    recipientOnlyServices: () => call('recipientOnlyServices'),
  }
  return { ledger, trips: () => trips }
}

ledgerContract('behind a network', t => {
  const { ledger, restarted, close } = onDisk(t)
  return {
    ledger: remote(ledger).ledger,
    restarted: async () => remote((await restarted?.()) ?? ledger).ledger,
    close,
  }
})

t.test('many limits are one round trip behind a network, and no promise on this host', async t => {
  const here = openLedger(new MemoryStore())
  const there = remote(here)
  const event: LedgerEvent = {
    account: 'alice',
    stage: 'END-OF-MESSAGE',
    instance: 'i',
    connection: 1,
    service: '',
    recipient: '',
    recipients: 1,
    bytes: 0,
    queueId: '',
    mostRecipients: Number.POSITIVE_INFINITY,
    now: 0,
    claims: ['a', 'b', 'c'].map(counter => ({
      counter,
      subject: 'alice',
      window: { name: '2026-11-20', endsAt: 1 },
      unit: 'recipients',
      limit: 5,
    })),
  }
  const { standings } = await there.ledger.judge(event)
  t.same(
    standings.map(({ used }) => used),
    [1, 1, 1],
  )
  t.equal(there.trips(), 1)
  t.notOk(here.judge(event) instanceof Promise)
})
