/** Who is told alerts, as host variables and configurations name them. */

/** Without what separates addresses or needs quotes; a local name such as root is one, too. */
const MAIL_ADDRESS = /^[^\s,;:<>"'()\\@\-/*][^\s,;:<>"'()\\@/*]*(?:@[^\s,;:<>"'()\\@/*]+)?$/

/** Addresses in an alert's mail. */
const MOST_ADDRESSES = 20
const LONGEST_ADDRESS = 320

export function isMailAddress(text: string): boolean {
  return text.length <= LONGEST_ADDRESS && MAIL_ADDRESS.test(text)
}

/** Separated by commas; empty: nobody. Undefined: one of them cannot be an address. */
export function readAddresses(text: string): string | undefined {
  if (/^\s*(?:none)?\s*$/i.test(text)) return ''
  const all = text.split(',').map(one => one.trim())
  return all.length <= MOST_ADDRESSES && all.every(isMailAddress) ? all.join(',') : undefined
}

/** Empty is none. Undefined: it cannot be posted to; what follows a # would never be sent. */
export function readWebAddress(text: string): string | undefined {
  const address = text.trim()
  if (address === '') return ''
  const isOne = /^https?:\/\/[^\s"'#\\<>*]+$/i.test(address) && URL.canParse(address)
  return isOne ? address : undefined
}
