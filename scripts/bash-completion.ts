/**
 * Completion for bash, made from the table of commands and the declarations of the variables.
 *
 * Stands by itself (no function of the bash-completion project is called). `=` and the like break
 * words for readline, so the word under the cursor is taken from the line, and what is offered
 * after `NAME=` is the value alone.
 */

import {
  type Command,
  clientOptions,
  commands,
  controlOptions,
  daemonOptions,
  type Offer,
  type Options,
} from '../daemon/cli/command-table.ts'
import { declarations, isPattern, type Variable } from '../daemon/registry/variables.ts'

/** One script per program, named as it. */
export function completions(): Readonly<Record<string, string>> {
  return {
    mtpolicyctl: controlScript(),
    mtpolicyd: plainScript('mtpolicyd', daemonOptions),
    'policyd-client': plainScript('policyd-client', clientOptions),
  }
}

const head = (program: string): string => `# bash completion for ${program}; made by the build.
`

/** Sets cur, the word under the cursor, and words, those before it. */
const READ_LINE = `  local line=\${COMP_LINE:0:COMP_POINT} cur= prev=
  local -a words
  read -ra words <<< "$line"
  if [[ $line != *[[:space:]] ]]; then
    cur=\${words[-1]}
    unset 'words[-1]'
  fi
  prev=\${words[-1]}
  COMPREPLY=()
`

function plainScript(program: string, options: Options): string {
  const name = functionName(program)
  return `${head(program)}
${name}() {
${READ_LINE}
  case $prev in
${argumentCases(options, '    ')}
  esac
  COMPREPLY=($(compgen -W '${flags(options).join(' ')}' -- "$cur"))
}
complete -o filenames -F ${name} ${program}
`
}

function controlScript(): string {
  const single = declarations.filter(({ name }) => !isPattern(name))
  const endings = declarations
    .filter(({ name }) => isPattern(name))
    .map(({ name }) => name.slice(name.lastIndexOf('/') + 1))
  const names = new Set(commands.map(({ name }) => name.split(' ')[0] ?? ''))
  const before = new Set([
    ...flags(controlOptions),
    ...commands.flatMap(({ options }) => flags(options, true)),
  ])
  return `${head('mtpolicyctl')}
# Names of variables that begin with $cur, each followed by $1.
_mtpolicyctl_variables() {
  local name names='${single.map(({ name }) => name).join(' ')} mtpolicyd/user/'
  if [[ $cur == mtpolicyd/user/?*/* ]]; then
    names=
    for name in ${endings.join(' ')}; do names+=" \${cur%/*}/$name"; done
  elif [[ $cur == mtpolicyd/user/* ]]; then
    names=$(mtpolicyctl --keys-only search '^mtpolicyd/user/[^.]' 2> /dev/null)
  fi
  for name in $(compgen -W "$names" -- "$cur"); do
    [[ $name == */ ]] && compopt -o nospace 2> /dev/null || name+=$1
    COMPREPLY+=("$name")
  done
  [[ -z $1 ]] || compopt -o nospace 2> /dev/null
}

# Values of the variable in NAME=VALUE.
_mtpolicyctl_values() {
  local words= value=\${cur#*=}
  case \${cur%%=*} in
${declarations.flatMap(valueCase).join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$value"))
  [[ $COMP_WORDBREAKS == *=* ]] || COMPREPLY=("\${COMPREPLY[@]/#/\${cur%%=*}=}")
}

_mtpolicyctl() {
${READ_LINE}
  local word command= verb= skip=
  for word in "\${words[@]:1}"; do
    if [[ -n $skip ]]; then skip=
    elif [[ $word == --root || $word == --config-dir || $word == --category ]]; then skip=1
    elif [[ $word == -* ]]; then :
    elif [[ -z $command ]]; then command=$word
    elif [[ $command == postfix && -z $verb ]]; then verb=$word
    fi
  done
  case $prev in
${argumentCases({ ...controlOptions, ...Object.assign({}, ...commands.map(({ options }) => options)) }, '    ')}
  esac
  case $command in
    '') COMPREPLY=($(compgen -W '${[...names, 'help', ...before].join(' ')}' -- "$cur")) ;;
    help) COMPREPLY=($(compgen -W '${[...names].join(' ')}' -- "$cur")) ;;
${[...names].map(name => commandCase(name)).join('\n')}
  esac
}
complete -F _mtpolicyctl mtpolicyctl
`
}

function commandCase(word: string): string {
  const own = commands.filter(({ name }) => name.split(' ')[0] === word)
  const verbs = own.flatMap(({ name }) => name.split(' ').slice(1))
  const options = [...new Set(own.flatMap(one => flags(one.options, false))), '--help']
  const optionLine = `COMPREPLY=($(compgen -W '${options.join(' ')}' -- "$cur"))`
  const operands =
    verbs.length > 0
      ? `[[ -n $verb ]] || COMPREPLY=($(compgen -W '${verbs.join(' ')}' -- "$cur"))`
      : operandLine(own[0])
  return `    ${word})
      if [[ $cur == -* ]]; then ${optionLine}
      else ${operands}
      fi ;;`
}

function operandLine(command: Command | undefined): string {
  switch (command?.offers) {
    case 'assignments':
      return "if [[ $cur == *=* ]]; then _mtpolicyctl_values; else _mtpolicyctl_variables '='; fi"
    case 'variables':
      return "_mtpolicyctl_variables ''"
    case 'files':
      return `compopt -o filenames 2> /dev/null; ${offerLine('files')}`
    default:
      return ':'
  }
}

/** What follows an option that has an argument. */
function argumentCases(options: Options, indent: string): string {
  return Object.entries(options)
    .filter(([, { argument }]) => argument !== undefined)
    .map(([name, { short, offers }]) => {
      const pattern = short === undefined ? `--${name}` : `-${short} | --${name}`
      return `${indent}${pattern}) ${offers === undefined ? '' : `${offerLine(offers)}; `}return ;;`
    })
    .join('\n')
}

function offerLine(offer: Offer): string {
  if (offer === 'directories') return 'COMPREPLY=($(compgen -d -- "$cur"))'
  if (typeof offer === 'string') return 'COMPREPLY=($(compgen -f -- "$cur"))'
  return `COMPREPLY=($(compgen -W '${offer.join(' ')}' -- "$cur"))`
}

/** @param isFilter only those that stand before the command, or only the others */
function flags(options: Options, isFilter?: boolean): string[] {
  return Object.entries(options)
    .filter(([, option]) => !option.isHidden)
    .filter(([, option]) => isFilter === undefined || (option.isFilter === true) === isFilter)
    .map(([name]) => `--${name}`)
}

function valueCase({ name, type, choices, min, max }: Variable): string[] {
  const least = Number(min)
  const most = Number(max)
  const words =
    choices ??
    {
      bool: ['true', 'false'],
      limit: ['unlimited'],
      host: ['localhost'],
      int:
        most - least < 10 ? Array.from({ length: most - least + 1 }, (_, i) => `${least + i}`) : [],
    }[type] ??
    []
  return words.length === 0 ? [] : [`    ${name.replace('.*', '*')}) words='${words.join(' ')}' ;;`]
}

function functionName(program: string): string {
  return `_${program.replaceAll('-', '_')}`
}
