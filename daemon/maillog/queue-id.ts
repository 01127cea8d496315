/**
 * Queue ids: short ones are upper-case hexadecimal, long ones (`enable_long_queue_ids`) have digits and all
 * letters but vowels. So no word that Postfix begins a message with, such as `warning`, is one.
 */

/** Four digits of microseconds at least, and an inode number. */
const QUEUE_ID = /^(?:[0-9A-F]{6,32}|[0-9B-DF-HJ-NP-TV-Zb-df-hj-np-tv-z]{10,40})$/

export function isQueueId(text: string): boolean {
  return QUEUE_ID.test(text)
}
