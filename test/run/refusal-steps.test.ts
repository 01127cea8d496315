/** The steps of a refusal are rehearsed after its answer, a few at once, and cost no answer anything. */

import { setImmediate as turn } from 'node:timers/promises'
import t from 'tap'
import type { History, SeenStep } from '../../daemon/policy/ports/history.ts'
import { PolicyRequest } from '../../daemon/policy/request.ts'
import type { VerdictRecord } from '../../daemon/policy/verdict-record.ts'
import type { Generation } from '../../daemon/run/generation.ts'
import { RefusalSteps, writtenAt } from '../../daemon/run/refusal-steps.ts'
import type { Rehearsed } from '../../daemon/run/rehearse.ts'
import { virtualClock } from '../support/virtual-clock.ts'

const place = { file: '/etc/mtpolicyd.conf', line: 12, column: 3 }
const REHEARSED: Rehearsed = {
  verdict: { action: 'reject No', by: 'all' },
  steps: [
    {
      plugin: 'all',
      module: 'Action',
      place,
      saw: {},
      outcome: 'action',
      text: 'reject No',
      milliseconds: 1,
    },
  ],
  objections: [],
  facts: {},
}

function scene() {
  const clock = virtualClock()
  const explained: (readonly [string, readonly SeenStep[]])[] = []
  const started: PolicyRequest[] = []
  const waiting: PromiseWithResolvers<Rehearsed>[] = []
  let isSlow = false
  // Of a generation and a history, this is all that is used.
  const generation = {
    origin: 'file',
    assembly: { file: place.file },
    rehearse(request: PolicyRequest) {
      started.push(request)
      if (!isSlow) return Promise.resolve(REHEARSED)
      const later = Promise.withResolvers<Rehearsed>()
      waiting.push(later)
      return later.promise
    },
  } as unknown as Generation
  const history = {
    explained: (code: string, steps: readonly SeenStep[]) => void explained.push([code, steps]),
  } as unknown as History
  const steps = new RefusalSteps(clock)
  const request = new PolicyRequest(new Map(), { id: 1, endpoint: '1' })
  return {
    clock,
    explained,
    started,
    waiting,
    slow(value = true) {
      isSlow = value
    },
    refused: (code: string) => steps.note({ code, request } as VerdictRecord, generation, history),
  }
}

const settled = async (): Promise<void> => {
  for (let i = 0; i < 5; i++) await turn()
}

t.test(
  'a refusal has its steps, with the place of each plugin, and not before its answer has left',
  async t => {
    const { refused, explained, started } = scene()
    refused('K3F-9QT')
    await Promise.resolve()
    t.equal(started.length, 0, 'other answers of that turn come first')
    await settled()
    t.strictSame(explained, [
      [
        'K3F-9QT',
        [
          {
            plugin: 'all',
            module: 'Action',
            saw: {},
            outcome: 'action: reject No',
            place: '/etc/mtpolicyd.conf:12',
          },
        ],
      ],
    ])
  },
)

t.test('mail that was not refused is not rehearsed', async t => {
  const { refused, started } = scene()
  refused('')
  await settled()
  t.equal(started.length, 0)
})

t.test('of a thousand refusals in a second, twenty have their steps', async t => {
  const { clock, refused, explained } = scene()
  for (let i = 0; i < 1000; i++) {
    refused(`code ${i}`)
    if (i % 100 === 99) await settled()
  }
  t.strictSame(
    explained.map(([code]) => code),
    Array.from({ length: 20 }, (_, i) => `code ${i}`),
  )
  await clock.advance(1000)
  refused('later')
  await settled()
  t.equal(explained.at(-1)?.[0], 'later')
})

t.test('four wait at once, the others until one of them is done', async t => {
  const { clock, refused, explained, started, waiting, slow } = scene()
  slow()
  for (let i = 0; i < 10; i++) refused(`code ${i}`)
  await settled()
  t.equal(started.length, 4)
  waiting[1]?.resolve(REHEARSED)
  waiting[2]?.reject(new Error('the configuration has been closed'))
  await settled()
  t.equal(started.length, 6, 'one that fails makes room as well')
  t.strictSame(
    explained.map(([code]) => code),
    ['code 1'],
    'and has no steps',
  )
  for (let second = 0; second < 5; second++) {
    await clock.advance(1000)
    for (let i = 0; i < 20; i++) refused(`code ${second} ${i}`)
  }
  slow(false)
  for (const one of waiting) one.resolve(REHEARSED)
  await settled()
  t.equal(explained.length, 5 + 20, 'no more wait than a second’s worth')
})

t.test('a block of the rendered file stands in a variable, any other in its line', async t => {
  const at = (origin: Generation['origin'], file: string, block: string): string =>
    writtenAt({ ...place, file }, block, {
      origin,
      assembly: { file: place.file },
    } as Pick<Generation, 'origin' | 'assembly'>)
  t.equal(at('variables', place.file, 'limit'), 'mtpolicyd/threshold')
  t.equal(at('variables', place.file, 'domain-hour'), 'mtpolicyd/domain/.*/threshold/hour')
  t.equal(at('variables', place.file, 'mine'), '/etc/mtpolicyd.conf:12')
  t.equal(at('variables', '/etc/conf.d/a.plugins', 'limit'), '/etc/conf.d/a.plugins:12')
  t.equal(at('hand-written', place.file, 'limit'), '/etc/mtpolicyd.conf:12')
  t.equal(at('file', place.file, 'limit'), '/etc/mtpolicyd.conf:12')
})
