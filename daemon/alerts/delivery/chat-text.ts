/**
 * Text for chats: what users have given is shown as it is. It is neither markup nor a picture, calls nobody,
 * and is never longer than the receiver takes.
 */

/** Discord refuses a longer text (its webhooks take Slack's format); Slack and Mattermost take more. */
export const MOST_CHAT_CHARACTERS = 2000
/** ntfy refuses more, or makes a file of it. */
export const MOST_NTFY_BYTES = 4096

/** Between two characters that would mean something together. */
const NOTHING = '\u200b'

/** Slack: only these three begin markup or a mention; the rest is switched off in the request. */
export function slackText(text: string): string {
  return inert(text).replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}

/**
 * Markdown: a backslash only before what Mattermost knows one for, because it shows all others; a character
 * reference for the rest. A link of Slack's kind, which Mattermost knows as well, has no `<` then.
 */
export function markdownText(text: string): string {
  return inert(text)
    .replaceAll(/\\(?!\w)|[`*_{}[\]()#+!|~>-]/g, '\\$&')
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('$', '&#36;')
}

/** An @ that would call somebody, unlike that of an address, and names of pictures, also within 2001:db8:a::1. */
function inert(text: string): string {
  return text
    .replaceAll(/(?<![\p{L}\p{N}])@/gu, `@${NOTHING}`)
    .replaceAll(/:(?=[\w+-]+:)/g, `:${NOTHING}`)
}

/** The text as `escaped` makes it, cut off at its end if that is longer than `most` of what `measured` counts. */
export function fitted(
  text: string,
  most: number,
  escaped: (text: string) => string,
  measured: (text: string) => number = ({ length }) => length,
): string {
  const characters = [...text]
  let room = Math.min(characters.length, most)
  for (;;) {
    const cut = room < characters.length ? `${characters.slice(0, room).join('')}...` : text
    const whole = escaped(cut)
    const excess = measured(whole) - most
    if (excess <= 0 || room === 0) return whole
    // One character becomes six at most (&amp; and what separates it).
    room = Math.max(0, room - Math.ceil(excess / 6))
  }
}
