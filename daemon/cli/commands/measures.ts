/** measures: what is ordered for single accounts. */

import type { ControlReply, Portion } from '../../control/protocol.ts'
import { defineCommand } from '../command.ts'
import { resultOf } from '../daemon-client.ts'
import { jsonText } from '../json-text.ts'
import { endedJson, endedText, measureJson, measureText } from '../measure-text.ts'
import { json as jsonOption } from '../options.ts'

export const measures = defineCommand({
  name: 'measures',
  group: 'look',
  summary: 'list what is ordered for single accounts: blocks, countries, limits',
  more: `
    Shows what block, allow --until and limit --until have ordered and what is still in force:
    until when, who has ordered it, when and why. With --ended it shows what has ended within the
    last 90 days instead, and which counts were reset, the last one first.
  `,
  json: `
    {measures}: a measure has account, kind (block, allow, limit), value, until (null: until it is
    released), by and why. With --ended also at, how (released, replaced, expired; done for a
    reset), ended and endedBy.
  `,
  options: {
    ended: { type: 'boolean', doc: 'Show what has ended, and who has ended it.' },
    json: jsonOption,
  },
  async run({ ended, json }, { daemon, out }) {
    if (ended) {
      const all = await every(from => daemon.endedMeasures({ from }))
      out(json ? jsonText({ measures: all.map(endedJson) }) : all.map(endedText).join(''))
      if (!json && all.length === 0) out('No measure has ended in the last 90 days.\n')
      return 0
    }
    const all = await every(from => daemon.measures({ from }))
    out(json ? jsonText({ measures: all.map(measureJson) }) : all.map(measureText).join(''))
    if (!json && all.length === 0) out('No measure is in force.\n')
    return 0
  },
})

/** All portions of a list. */
async function every<T>(
  ask: (from: string) => Promise<ControlReply<Portion<T>> | undefined>,
): Promise<readonly T[]> {
  const all: T[] = []
  for (;;) {
    const { items, hasMore } = resultOf(await ask(String(all.length)))
    all.push(...items)
    if (!hasMore || items.length === 0) return all
  }
}
