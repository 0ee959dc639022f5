#compdef quic-listen

__quic-listen_complete() {
    local -ar non_empty_completions=("${@:#(|:*)}")
    local -ar empty_completions=("${(M)@:#(|:*)}")
    _describe -V '' non_empty_completions -- empty_completions -P $'\'\''
}

__quic-listen_custom_complete() {
    local -a completions
    completions=("${(@f)"$("${command_name}" "${@}" "${command_line[@]}")"}")
    if [[ "${#completions[@]}" -gt 1 ]]; then
        __quic-listen_complete "${completions[@]:0:-1}"
    fi
}

__quic-listen_cursor_index_in_current_word() {
    if [[ -z "${QIPREFIX}${IPREFIX}${PREFIX}" ]]; then
        printf 0
    else
        printf %s "${#${(z)LBUFFER}[-1]}"
    fi
}

_quic-listen() {
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
        '--key[Secret key file\: 64 hexadecimal digits or 32 bytes, readable by its owner only.]:file:'
        '*--alpn[Application protocol taken; may be repeated, most wanted first. (default\: pubky/iroh-homeserver/0)]:name:'
        '*--bind[UDP address to listen on; may be repeated. (default\: a free port on 0.0.0.0 and \[\:\:\])]:addr\:port:'
        '*--address[Address to announce besides those found, such as a forwarded port; may be repeated.]:addr\:port:'
        '--lan[Announce addresses of the local network too.]'
        '--no-port-map[Don'\''t ask the router to send on what comes to a port of it.]'
        '--bridge[Socket of tunnel-bridge serve, which gives each stream its local connection.]:socket:'
        '--retry-threshold[Connections in their handshake from which on new clients have to prove their address by Retry.]:count:'
        '*--relay[An iroh relay to be reachable through (repeatable; default\: IROH_RELAYS, else none).]:URL:'
        '--relay-list[File with more relays, one URL a line; read again on SIGHUP.]:file:'
        '--relay-token[File with the token that the relays ask for, readable by its owner only.]:file:'
        '--no-relays[Use no relays.]'
        '*--stun[A STUN server that tells which address others see (repeatable; default\: the relays).]:host\:port:'
        '--metrics[Write figures for Prometheus'\'' node exporter to this file, every 15 s and at SIGUSR1.]:file:'
        '--log-format[How messages on standard error look.]:text|json:{__quic-listen_complete "${___log_format[@]}"}'
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
            "_quic-listen_${words[1]}" && ret=0
            ;;
        esac
        ;;
    esac

    return "${ret}"
}

_quic-listen_help() {
    local -i ret=1
    local -ar arg_specs=(
        '*:subcommands:'
        '--version[Show the version.]'
    )
    _arguments -w -s -S : "${arg_specs[@]}" && ret=0

    return "${ret}"
}

if [[ "${funcstack[1]}" = _quic-listen ]]; then
    _quic-listen "${@}"
else
    compdef _quic-listen quic-listen
fi
