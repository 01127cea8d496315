/**
 * The registry commands as a program of their own, for tests that need processes.
 *
 * The root is $REGISTRY_ROOT; $REGISTRY_TEMPLATES adds templates and our declarations, without it
 * only the registry itself is there. $REGISTRY_REFUSE makes the check of staged files refuse them.
 * $REGISTRY_USER is the user to become once everything is loaded: a checkout may lie where only its
 * owner gets.
 */

import Database from 'better-sqlite3'
import { runRegistryCommand } from '../support/command.ts'

const { REGISTRY_ROOT: root = '', REGISTRY_TEMPLATES: templates } = process.env

const user = Number(process.env.REGISTRY_USER)
if (user > 0) {
  // The driver is read from the checkout when it is first used.
  new Database(':memory:').close()
  process.setgroups?.([])
  process.setgid?.(user)
  process.setuid?.(user)
}

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
