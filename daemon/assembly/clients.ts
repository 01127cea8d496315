/**
 * Which clients may connect: this host, and the networks of the option `clients`.
 */

import type { Globals } from '../config/globals.ts'
import type { Endpoint } from '../net/endpoint.ts'
import { isLoopbackAddress } from '../net/loopback.ts'
import { addressGroups, isWithin, NETWORK_FORMS, parseNetwork } from '../net/network.ts'
import { fatal, type Problem, warning } from '../policy/problem.ts'
import { excerpt } from '../text/excerpt.ts'

/** May a client with this address connect? Loopback always may. */
export function readClients(
  { clients, placeOf }: Pick<Globals, 'clients' | 'placeOf'>,
  problems: Problem[],
): (address: string) => boolean {
  const networks = clients.flatMap(entry => {
    const network = parseNetwork(entry.trim())
    if (network) return network
    const message = `"clients": expected ${NETWORK_FORMS}, found "${excerpt(entry)}"`
    problems.push(fatal(placeOf('clients'), message))
    return []
  })
  return address => {
    if (isLoopbackAddress(address)) return true
    const groups = addressGroups(address)
    return groups !== undefined && networks.some(network => isWithin(groups, network))
  }
}

/** A port that others can reach, without a list of clients, serves nobody but this host. */
export function checkExposure(
  { clients, placeOf }: Pick<Globals, 'clients' | 'placeOf'>,
  endpoints: readonly Endpoint[],
  problems: Problem[],
): void {
  if (clients.length > 0) return
  for (const endpoint of endpoints) {
    if (endpoint.kind === 'unix' || isLoopbackAddress(endpoint.host)) continue
    const message = `listening on ${endpoint.host}, but only this host may connect: list other clients in "clients"`
    problems.push(warning(placeOf('port'), message))
    return
  }
}
