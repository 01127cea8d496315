/** The ways in which alerts leave, by what the configuration wants. */

import type { MakeDeliveries } from '../delivery.ts'

export const deliveriesOf: MakeDeliveries = () => []
