#compdef port-map

__port-map_complete() {
    local -ar non_empty_completions=("${@:#(|:*)}")
    local -ar empty_completions=("${(M)@:#(|:*)}")
    _describe -V '' non_empty_completions -- empty_completions -P $'\'\''
}

__port-map_custom_complete() {
    local -a completions
    completions=("${(@f)"$("${command_name}" "${@}" "${command_line[@]}")"}")
    if [[ "${#completions[@]}" -gt 1 ]]; then
        __port-map_complete "${completions[@]:0:-1}"
    fi
}

__port-map_cursor_index_in_current_word() {
    if [[ -z "${QIPREFIX}${IPREFIX}${PREFIX}" ]]; then
        printf 0
    else
        printf %s "${#${(z)LBUFFER}[-1]}"
    fi
}

_port-map() {
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
    local -ar ___protocol=('pcp' 'natpmp' 'upnp')
    local -ar ___log_format=('text' 'json')
    local -ar arg_specs=(
        '*--udp[UDP port of this host to have mapped; may be repeated.]:port:'
        '*--protocol[How to ask the router; may be repeated, and they are tried in this order.]:pcp|natpmp|upnp:{__port-map_complete "${___protocol[@]}"}'
        '--look[Map nothing\: tell which protocols the router speaks, and its public address.]'
        '--every[How often to look whether the mappings are still there.]:duration:'
        '--log-format[How messages on standard error look.]:text|json:{__port-map_complete "${___log_format[@]}"}'
        '(--verbose -v)'{--verbose,-v}'[Say more on standard error.]'
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
            "_port-map_${words[1]}" && ret=0
            ;;
        esac
        ;;
    esac

    return "${ret}"
}

_port-map_help() {
    local -i ret=1
    local -ar arg_specs=(
        '*:subcommands:'
        '--version[Show the version.]'
    )
    _arguments -w -s -S : "${arg_specs[@]}" && ret=0

    return "${ret}"
}

if [[ "${funcstack[1]}" = _port-map ]]; then
    _port-map "${@}"
else
    compdef _port-map port-map
fi
