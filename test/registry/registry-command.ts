/**
 * The registry commands as a program of their own, for tests that need processes.
 *
 * The root is $REGISTRY_ROOT; $REGISTRY_TEMPLATES adds templates and our declarations, without it
 * only the registry itself is there. $REGISTRY_REFUSE makes the check of staged files refuse them.
 */

import { runRegistryCommand } from '../../daemon/cli/registry-commands.ts'

const { REGISTRY_ROOT: root = '', REGISTRY_TEMPLATES: templates } = process.env

process.exitCode = await runRegistryCommand(process.argv.slice(2), {
  root,
  env: process.env,
  templates: templates ?? '/nonexistent',
  ...(templates === undefined ? { declarations: [] } : {}),
  stdout: text => process.stdout.write(text),
  stderr: text => process.stderr.write(text),
  check: () => [],
  reload: () => {},
})
