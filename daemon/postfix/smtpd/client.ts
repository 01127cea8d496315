/** Kinds of clients, by what makes a difference to Postfix's restrictions. */

export interface Client {
  readonly isAuthenticated: boolean
  readonly isInMynetworks: boolean
  /** Shows a certificate that Postfix trusts, where one is requested. */
  readonly hasCertificate: boolean
}

export const CLIENTS = {
  authenticated: { isAuthenticated: true, isInMynetworks: false, hasCertificate: false },
  'authenticated in mynetworks': {
    isAuthenticated: true,
    isInMynetworks: true,
    hasCertificate: false,
  },
  'authenticated with a certificate': {
    isAuthenticated: true,
    isInMynetworks: false,
    hasCertificate: true,
  },
  certificate: { isAuthenticated: false, isInMynetworks: false, hasCertificate: true },
  mynetworks: { isAuthenticated: false, isInMynetworks: true, hasCertificate: false },
  stranger: { isAuthenticated: false, isInMynetworks: false, hasCertificate: false },
} as const satisfies Readonly<Record<string, Client>>

export type ClientName = keyof typeof CLIENTS
