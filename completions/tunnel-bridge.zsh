#compdef tunnel-bridge

__tunnel-bridge_complete() {
    local -ar non_empty_completions=("${@:#(|:*)}")
    local -ar empty_completions=("${(M)@:#(|:*)}")
    _describe -V '' non_empty_completions -- empty_completions -P $'\'\''
}

__tunnel-bridge_custom_complete() {
    local -a completions
    completions=("${(@f)"$("${command_name}" "${@}" "${command_line[@]}")"}")
    if [[ "${#completions[@]}" -gt 1 ]]; then
        __tunnel-bridge_complete "${completions[@]:0:-1}"
    fi
}

__tunnel-bridge_cursor_index_in_current_word() {
    if [[ -z "${QIPREFIX}${IPREFIX}${PREFIX}" ]]; then
        printf 0
    else
        printf %s "${#${(z)LBUFFER}[-1]}"
    fi
}

_tunnel-bridge() {
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
    local -ar arg_specs=(
        '--version[Show the version.]'
        '(-h --help)'{-h,--help}'[Show help information.]'
        '(-): :->command'
        '(-)*:: :->arg'
    )
    _arguments -w -s -S : "${arg_specs[@]}" && ret=0
    case "${state}" in
    command)
        local -ar subcommands=(
            'serve:Connect each stream of quic-listen to a server.'
            'connect:Accept TCP connections and hand each to quic-dial.'
            'proxy:Be an HTTP proxy that leads to homeservers by their keys.'
            'help:Show subcommand help information.'
        )
        _describe -V subcommand subcommands && ret=0
        ;;
    arg)
        case "${words[1]}" in
        serve|connect|proxy|help)
            "_tunnel-bridge_${words[1]}" && ret=0
            ;;
        esac
        ;;
    esac

    return "${ret}"
}

_tunnel-bridge_serve() {
    local -i ret=1
    local -ar ___log_format=('text' 'json')
    local -ar arg_specs=(
        '--metrics[Write figures for Prometheus'\'' node exporter to this file, every 15 s and at SIGUSR1.]:file:'
        '--log-format[How messages on standard error look.]:text|json:{__tunnel-bridge_complete "${___log_format[@]}"}'
        '(--verbose -v)'{--verbose,-v}'[Say more on standard error.]'
        '--socket[The Unix socket that quic-listen connects to; made with mode 0600.]:SOCKET:'
        '*--to[The server to connect to, or the one for an application protocol; may be repeated. (default\: each key'\''s first permitopen)]:\[ALPN=\]HOST\:PORT:'
        '--access[Who may connect, and what they may do\: one key a line, options behind it. Read again when it changes. (default\: anybody)]:FILE:'
        '--http[The server takes plain HTTP\: tell it in each request which key the client has proved, and nothing that the client says of itself.]'
        '--tls-to[With --http\: where streams go that begin with TLS, such as the homeserver'\''s port 6287.]:HOST\:PORT:'
        '--proxy-protocol[Tell the server who comes, by a PROXY protocol header (version 2).]'
        '--version[Show the version.]'
        '(-h --help)'{-h,--help}'[Show help information.]'
    )
    _arguments -w -s -S : "${arg_specs[@]}" && ret=0

    return "${ret}"
}

_tunnel-bridge_connect() {
    local -i ret=1
    local -ar ___log_format=('text' 'json')
    local -ar arg_specs=(
        '--metrics[Write figures for Prometheus'\'' node exporter to this file, every 15 s and at SIGUSR1.]:file:'
        '--log-format[How messages on standard error look.]:text|json:{__tunnel-bridge_complete "${___log_format[@]}"}'
        '(--verbose -v)'{--verbose,-v}'[Say more on standard error.]'
        '--socket[The Unix socket that quic-dial connects to; made with mode 0600.]:SOCKET:'
        '--listen[Where to listen; port 0 takes a free one.]:HOST\:PORT:'
        '--peer[To whom the streams go, for a quic-dial that knows more than one peer.]:KEY:'
        '--version[Show the version.]'
        '(-h --help)'{-h,--help}'[Show help information.]'
    )
    _arguments -w -s -S : "${arg_specs[@]}" && ret=0

    return "${ret}"
}

_tunnel-bridge_proxy() {
    local -i ret=1
    local -ar ___log_format=('text' 'json')
    local -ar arg_specs=(
        '--metrics[Write figures for Prometheus'\'' node exporter to this file, every 15 s and at SIGUSR1.]:file:'
        '--log-format[How messages on standard error look.]:text|json:{__tunnel-bridge_complete "${___log_format[@]}"}'
        '(--verbose -v)'{--verbose,-v}'[Say more on standard error.]'
        '--socket[The Unix socket that quic-dial connects to; made with mode 0600.]:SOCKET:'
        '--listen[Where to listen, at a loopback address; port 0 takes a free one.]:HOST\:PORT:'
        '--token-file[File with a token that clients have to give as password, readable by its owner only. (default\: every client at this machine may)]:FILE:'
        '--forward-others[Pass on requests for hosts that are no keys, as far as they are on the Internet. (default\: refuse them)]'
        '*--allow-origin[Pages of this origin may post forms and open WebSockets to all keys; may be repeated. (default\: only to the key they came from)]:ORIGIN:'
        '--require-key[Take nobody for a homeserver who does not prove to have its key\: no domain with a certificate. (default\: take them too)]'
        '--allow-local[Dial addresses of this machine and its networks that stand in packets. (default\: refuse them)]'
        '--authorities[PEM file with the certificates that vouch for domains. (default\: the system'\''s)]:FILE:'
        '--streams[Print a stream line for each connection to a homeserver, and for each that did not come about.]'
        '--timeout[Time after which a homeserver counts as unreachable.]:DURATION:'
        '--answer-timeout[Time for a homeserver to begin its answer.]:DURATION:'
        '--max-connections[Connections of clients at once.]:NUMBER:'
        '--version[Show the version.]'
        '(-h --help)'{-h,--help}'[Show help information.]'
    )
    _arguments -w -s -S : "${arg_specs[@]}" && ret=0

    return "${ret}"
}

_tunnel-bridge_help() {
    local -i ret=1
    local -ar arg_specs=(
        '*:subcommands:'
        '--version[Show the version.]'
    )
    _arguments -w -s -S : "${arg_specs[@]}" && ret=0

    return "${ret}"
}

if [[ "${funcstack[1]}" = _tunnel-bridge ]]; then
    _tunnel-bridge "${@}"
else
    compdef _tunnel-bridge tunnel-bridge
fi
