/** The network interfaces of this host. */

import { type NetworkInterfaceInfo, networkInterfaces } from 'node:os'

/** Their addresses. None where the kernel does not tell, as in a sandbox without AF_NETLINK. */
export function ownInterfaces(): readonly NetworkInterfaceInfo[] {
  try {
    return Object.values(networkInterfaces()).flatMap(addresses => addresses ?? [])
  } catch {
    return []
  }
}
