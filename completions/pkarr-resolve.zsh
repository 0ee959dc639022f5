#compdef pkarr-resolve

__pkarr-resolve_complete() {
    local -ar non_empty_completions=("${@:#(|:*)}")
    local -ar empty_completions=("${(M)@:#(|:*)}")
    _describe -V '' non_empty_completions -- empty_completions -P $'\'\''
}

__pkarr-resolve_custom_complete() {
    local -a completions
    completions=("${(@f)"$("${command_name}" "${@}" "${command_line[@]}")"}")
    if [[ "${#completions[@]}" -gt 1 ]]; then
        __pkarr-resolve_complete "${completions[@]:0:-1}"
    fi
}

__pkarr-resolve_cursor_index_in_current_word() {
    if [[ -z "${QIPREFIX}${IPREFIX}${PREFIX}" ]]; then
        printf 0
    else
        printf %s "${#${(z)LBUFFER}[-1]}"
    fi
}

_pkarr-resolve() {
    emulate -RL zsh -G
    setopt extendedglob nullglob numericglobsort
    unsetopt aliases banghist

    local -xr SAP_SHELL=zsh
    local -x SAP_SHELL_VERSION
    SAP_SHELL_VERSION="$(builtin emulate zsh -c 'printf %s "${ZSH_VERSION}"')"
    local -r SAP_SHELL_VERSION

    local context state state_descr line
    local -A opt_args

    local -r command_name="${words[1]}"
    local -ar command_line=("${words[@]}")
    local -ir current_word_index="$((CURRENT - 1))"

    local -i ret=1
    local -ar ___log_format=('text' 'json')
    local -ar arg_specs=(
        '*--relay[A pkarr relay (repeatable; default\: PKARR_RELAYS, else the public ones).]:URL:'
        '--no-relays[Use no relays.]'
        '*--bootstrap[A node to enter the DHT through (repeatable; default\: PKARR_BOOTSTRAP, else the public network'\''s).]:HOST\:PORT:'
        '--no-dht[Do not use the DHT.]'
        '--testnet[Publish and look in a Pubky testnet on this machine\: localhost\:6881 and http\://localhost\:15411.]'
        '--state[Remember between runs in this directory (default\: STATE_DIRECTORY, as systemd sets it, else nothing is remembered).]:DIR:'
        '--watch[Look again this often, and write a line each time there is something newer.]:duration:'
        '--stdin[Read keys from standard input, and answer each with a line.]'
        '--audit[Write what each DHT node and relay has of the key, and a verdict, instead of the packet.]'
        '--log-format[How messages on standard error look.]:text|json:{__pkarr-resolve_complete "${___log_format[@]}"}'
        '(--verbose -v)'{--verbose,-v}'[Say more on standard error.]'
        '*:KEY:'
        '--version[Show the version.]'
        '(-h --help)'{-h,--help}'[Show help information.]'
        '(-): :->command'
        '(-)*:: :->arg'
    )
    _arguments -w -s -S : "${arg_specs[@]}" && ret=0
    case "${state}" in
    command)
        local -ar subcommands=(
            'help:Show subcommand help information.'
        )
        _describe -V subcommand subcommands && ret=0
        ;;
    arg)
        case "${words[1]}" in
        help)
            "_pkarr-resolve_${words[1]}" && ret=0
            ;;
        esac
        ;;
    esac

    return "${ret}"
}

_pkarr-resolve_help() {
    local -i ret=1
    local -ar arg_specs=(
        '*:subcommands:'
        '--version[Show the version.]'
    )
    _arguments -w -s -S : "${arg_specs[@]}" && ret=0

    return "${ret}"
}

if [[ "${funcstack[1]}" = _pkarr-resolve ]]; then
    _pkarr-resolve "${@}"
else
    compdef _pkarr-resolve pkarr-resolve
fi
