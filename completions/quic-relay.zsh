#compdef quic-relay

__quic-relay_complete() {
    local -ar non_empty_completions=("${@:#(|:*)}")
    local -ar empty_completions=("${(M)@:#(|:*)}")
    _describe -V '' non_empty_completions -- empty_completions -P $'\'\''
}

__quic-relay_custom_complete() {
    local -a completions
    completions=("${(@f)"$("${command_name}" "${@}" "${command_line[@]}")"}")
    if [[ "${#completions[@]}" -gt 1 ]]; then
        __quic-relay_complete "${completions[@]:0:-1}"
    fi
}

__quic-relay_cursor_index_in_current_word() {
    if [[ -z "${QIPREFIX}${IPREFIX}${PREFIX}" ]]; then
        printf 0
    else
        printf %s "${#${(z)LBUFFER}[-1]}"
    fi
}

_quic-relay() {
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
        '*--http[Where it takes plain HTTP (repeatable; default\: 127.0.0.1\:3340 without --https).]:ADDR\:PORT:'
        '*--https[Where it takes HTTPS (repeatable).]:ADDR\:PORT:'
        '--certificate[The certificate chain for HTTPS, in PEM.]:FILE:'
        '--certificate-key[The certificate'\''s secret key, in PEM.]:FILE:'
        '*--stun[Where it tells endpoints their public address (STUN, UDP; repeatable).]:ADDR\:PORT:'
        '--access[A list of who may use the relay (default\: everybody).]:FILE:'
        '--client-rate[Bytes a second from one client\: 4M, 500K (default\: no limit).]:RATE:'
        '--total-rate[Bytes a second from all clients (default\: no limit).]:RATE:'
        '--connections[Connections at once (default\: as many as open files allow, but 16384 at most).]:COUNT:'
        '--connections-per-address[Connections at once from one address.]:COUNT:'
        '*--behind-proxy[A proxy to take the client'\''s address from, in X-Forwarded-For (repeatable).]:ADDR\[/LENGTH\]:'
        '*--exempt[Addresses without limits, which see the metrics (repeatable; none for nobody; default\: this machine).]:ADDR\[/LENGTH\]:'
        '--log-format[How messages on standard error look.]:text|json:{__quic-relay_complete "${___log_format[@]}"}'
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
            "_quic-relay_${words[1]}" && ret=0
            ;;
        esac
        ;;
    esac

    return "${ret}"
}

_quic-relay_help() {
    local -i ret=1
    local -ar arg_specs=(
        '*:subcommands:'
        '--version[Show the version.]'
    )
    _arguments -w -s -S : "${arg_specs[@]}" && ret=0

    return "${ret}"
}

if [[ "${funcstack[1]}" = _quic-relay ]]; then
    _quic-relay "${@}"
else
    compdef _quic-relay quic-relay
fi
