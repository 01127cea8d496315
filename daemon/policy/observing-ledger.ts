/** The ledger as limits see it in observe mode: everything is counted, nothing is refused. */

import { type MaybePromise, whenReady } from '../system/maybe-promise.ts'
import type { Claim, Ledger, LedgerEvent } from './ports/ledger.ts'

/** Same counts, no refusal: the caller compares what was used with the limit. */
export function observing(ledger: Ledger): Ledger {
  return {
    judge: event =>
      whenReady(isOverCap(ledger, event), isOverCap =>
        whenReady(ledger.judge(counted(event)), judgement =>
          isOverCap ? { ...judgement, isOverCap } : judgement,
        ),
      ),
    preview: event => ledger.preview(counted(event)),
    fitsAt: (event, claim) => ledger.fitsAt(event, claim),
    giveBack: (message, at) => ledger.giveBack(message, at),
    takeBack: (message, now) => ledger.takeBack(message, now),
    settle: () => ledger.settle(),
    disconnect: connection => ledger.disconnect(connection),
    expire: now => ledger.expire(now),
    used: (counter, subject, window, now) => ledger.used(counter, subject, window, now),
    reset: (counter, subject, window, now) => ledger.reset(counter, subject, window, now),
    recipientOnlyServices: () => ledger.recipientOnlyServices(),
  }
}

/** The recipient is reserved all the same. */
function isOverCap(ledger: Ledger, event: LedgerEvent): MaybePromise<boolean> {
  const { mostRecipients } = event
  if (event.stage !== 'RCPT' || mostRecipients === Number.POSITIVE_INFINITY) return false
  const preview = ledger.preview({ ...counted(event), mostRecipients })
  return whenReady(preview, preview => preview.isOverCap)
}

/** Field by field: a claim may be an object of a class, whose fields are not all its own. */
function counted(event: LedgerEvent): LedgerEvent {
  const { account, stage, instance, connection, service, recipient, recipients } = event
  const { bytes, queueId, now } = event
  return {
    account,
    stage,
    instance,
    connection,
    service,
    recipient,
    recipients,
    bytes,
    queueId,
    mostRecipients: Number.POSITIVE_INFINITY,
    now,
    claims: event.claims.map(withoutRefusal),
  }
}

function withoutRefusal({ counter, subject, window, unit, limit }: Claim): Claim {
  return { counter, subject, window, unit, limit, enforce: false }
}
