/** What Postfix has told the sender, without the verb of access(5) or the code before it, which only Postfix reads. */

import { Name } from './basics.tsx'

const VERB =
  /^(?:reject|defer|defer_if_permit|defer_if_reject|hold|[45]\d\d)(?: [45]\.\d+\.\d+)?\s+(?=\S)/i

export function Told({ action }: { action: string }) {
  return <Name>{action.replace(VERB, '')}</Name>
}
