#compdef quic-dial

__quic-dial_complete() {
    local -ar non_empty_completions=("${@:#(|:*)}")
    local -ar empty_completions=("${(M)@:#(|:*)}")
    _describe -V '' non_empty_completions -- empty_completions -P $'\'\''
}

__quic-dial_custom_complete() {
    local -a completions
    completions=("${(@f)"$("${command_name}" "${@}" "${command_line[@]}")"}")
    if [[ "${#completions[@]}" -gt 1 ]]; then
        __quic-dial_complete "${completions[@]:0:-1}"
    fi
}

__quic-dial_cursor_index_in_current_word() {
    if [[ -z "${QIPREFIX}${IPREFIX}${PREFIX}" ]]; then
        printf 0
    else
        printf %s "${#${(z)LBUFFER}[-1]}"
    fi
}

_quic-dial() {
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
        '--key[Secret key file to be known by; without it a fresh key is made.]:file:'
        '--alpn[Application protocol to ask for.]:name:'
        '--endpoint[File with endpoint lines to read instead of standard input.]:file:'
        '*--relay-token[A relay and the file with the token that it asks for, readable by its owner only (repeatable).]:URL=file:'
        '--no-relays[Use no relays.]'
        '--no-direct[Use relays only\: no addresses of the peers, and no hole punching.]'
        '*--stun[A STUN server that tells which address others see (repeatable; default\: the peers'\'' relays).]:host\:port:'
        '--no-port-map[Don'\''t ask the router to send on what comes to a port of it.]'
        '--timeout[Time after which a peer counts as unreachable.]:duration:'
        '--bridge[Socket of tunnel-bridge connect, which hands over the connections that want a stream.]:socket:'
        '--stdio[Open one stream and make it standard input and output.]'
        '--metrics[Write figures for Prometheus'\'' node exporter to this file, every 15 s and at SIGUSR1.]:file:'
        '--log-format[How messages on standard error look.]:text|json:{__quic-dial_complete "${___log_format[@]}"}'
        '(--verbose -v)'{--verbose,-v}'[Say more on standard error.]'
        '*:program:'
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
            "_quic-dial_${words[1]}" && ret=0
            ;;
        esac
        ;;
    esac

    return "${ret}"
}

_quic-dial_help() {
    local -i ret=1
    local -ar arg_specs=(
        '*:subcommands:'
        '--version[Show the version.]'
    )
    _arguments -w -s -S : "${arg_specs[@]}" && ret=0

    return "${ret}"
}

if [[ "${funcstack[1]}" = _quic-dial ]]; then
    _quic-dial "${@}"
else
    compdef _quic-dial quic-dial
fi
