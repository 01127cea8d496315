/** Mail to the administrator: one alert as it is, several as a digest. */

import type { Alert, AlertLanguage } from '../alert.ts'
import { type Delivery, DONE, type Outcome } from '../delivery.ts'
import type { Letter, Post } from './post.ts'
import { alertValues, digestValues } from './text-values.ts'
import type { MailTexts } from './texts.ts'

export interface MailOptions {
  readonly recipients: readonly string[]
  readonly language: AlertLanguage
  readonly hostName: string
  readonly post: Post
  readonly texts: MailTexts
}

export function mailDelivery(options: MailOptions): Delivery {
  // When one of several recipients has to be tried again, the others have got theirs already.
  let tried: { readonly id: string; readonly over: Set<string> } = { id: '', over: new Set() }
  return {
    name: 'mail',
    to: options.recipients.join(', '),
    batches: 'all',
    wants: () => true,
    problem: () => options.post.problem(),
    held: () => options.post.held(false),
    async hasLeft(batch, signal) {
      const id = batchId(batch)
      const { recipients, post } = options
      return together(await Promise.all(recipients.map(to => post.hasLeft({ id, to }, signal))))
    },
    async deliver(batch, signal) {
      const id = batchId(batch)
      if (tried.id !== id) tried = { id, over: new Set() }
      const letter = await letterOf(batch, id, options)
      const outcomes: Outcome[] = []
      for (const to of options.recipients) {
        if (tried.over.has(to)) continue
        const outcome = await options.post.send({ ...letter, to }, signal)
        if (outcome.is !== 'later') tried.over.add(to)
        outcomes.push(outcome)
      }
      return together(outcomes)
    },
  }
}

async function letterOf(
  batch: readonly Alert[],
  id: string,
  { language, hostName, texts }: MailOptions,
): Promise<Omit<Letter, 'to'>> {
  const [first] = batch
  const isDigest = first === undefined || batch.length > 1
  const rendered = isDigest
    ? await texts.render('digest', language, digestValues(batch, language, hostName))
    : await texts.render('alert', language, alertValues(first, language, hostName))
  return {
    ...rendered,
    language,
    date: Math.max(...batch.map(({ at }) => at)),
    id,
    thread: isDigest ? '' : threadOf(first),
    alert: isDigest ? `digest of ${batch.length}` : `${first.kind} ${first.state} ${first.id}`,
  }
}

/** The same alerts are the same mail. */
function batchId(batch: readonly Alert[]): string {
  const [first = '', last = ''] = [batch[0]?.id, batch.at(-1)?.id]
  return batch.length === 1 ? first : `${first}.${batch.length}.${last}`
}

/** What is raised, and what is over later, is one thread. */
function threadOf({ kind, key }: Alert): string {
  const { createHash } = process.getBuiltinModule('node:crypto')
  return createHash('sha256').update(`${kind}\n${key}`).digest('hex').slice(0, 32)
}

/** An address that is refused for good does not keep the others from getting theirs. */
function together(outcomes: readonly Outcome[]): Outcome {
  const later = outcomes.find(({ is }) => is === 'later')
  const refused = outcomes.find(({ is }) => is === 'refused')
  return later ?? refused ?? DONE
}
