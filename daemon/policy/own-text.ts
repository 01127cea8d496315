/**
 * A text that is kept for longer than the request it came with.
 *
 * A piece of a request holds on to all of its text (V8's sliced strings): a name of ten letters,
 * remembered for an hour, to a request of a megabyte. Joined to something, it is a text of its own.
 */

export function ownText(text: string): string {
  return ` ${text}`.slice(1)
}
