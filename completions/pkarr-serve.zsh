#compdef pkarr-serve

__pkarr-serve_complete() {
    local -ar non_empty_completions=("${@:#(|:*)}")
    local -ar empty_completions=("${(M)@:#(|:*)}")
    _describe -V '' non_empty_completions -- empty_completions -P $'\'\''
}

__pkarr-serve_custom_complete() {
    local -a completions
    completions=("${(@f)"$("${command_name}" "${@}" "${command_line[@]}")"}")
    if [[ "${#completions[@]}" -gt 1 ]]; then
        __pkarr-serve_complete "${completions[@]:0:-1}"
    fi
}

__pkarr-serve_cursor_index_in_current_word() {
    if [[ -z "${QIPREFIX}${IPREFIX}${PREFIX}" ]]; then
        printf 0
    else
        printf %s "${#${(z)LBUFFER}[-1]}"
    fi
}

_pkarr-serve() {
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
        '*--dht-bind[Where the DHT node listens (UDP); may be given once for IPv4 and once for IPv6 (default\: port 6881 of both).]:ADDR\:PORT:'
        '--http[Where the relay listens (TCP, plain HTTP; default\: 127.0.0.1\:6881).]:ADDR\:PORT:'
        '*--bootstrap[A node of the network to join (repeatable; default\: PKARR_BOOTSTRAP, else none).]:HOST\:PORT:'
        '*--hand-out[Write packets of this key that are put here as packet lines, and publish them nowhere (repeatable).]:KEY:'
        '*--dns[Where to answer DNS questions for names under keys (UDP and TCP; repeatable; default\: nowhere).]:ADDR\:PORT:'
        '*--dns-suffix[A domain in which keys are found, too, as KEY.NAME (repeatable; default\: key).]:NAME:'
        '*--dns-forward[A DNS server for all other questions (repeatable; default\: they are refused).]:ADDR\:PORT:'
        '*--dns-forward-for[Whose other questions are forwarded (repeatable; default\: local networks).]:ADDR\[/LENGTH\]:'
        '--limit-dns[DNS questions of one address.]:QUOTA:'
        '--limit-requests[HTTP requests of one address.]:QUOTA:'
        '--limit-lookups[HTTP requests, and as many DNS questions, of one address for which the DHT is asked.]:QUOTA:'
        '--limit-queries[Queries of one address that the DHT node answers.]:QUOTA:'
        '*--exempt[Addresses without limits, which see the metrics (repeatable; or none; default\: this machine, on the DHT also local networks).]:ADDR\[/LENGTH\]:'
        '*--behind-proxy[A proxy to take the client'\''s address from, in X-Forwarded-For (repeatable).]:ADDR\[/LENGTH\]:'
        '--store[Keep packets and items in files of this folder, which is made if it is missing.]:DIR:'
        '--store-size[How large the files may become together.]:SIZE:'
        '--log-format[How messages on standard error look.]:text|json:{__pkarr-serve_complete "${___log_format[@]}"}'
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
            "_pkarr-serve_${words[1]}" && ret=0
            ;;
        esac
        ;;
    esac

    return "${ret}"
}

_pkarr-serve_help() {
    local -i ret=1
    local -ar arg_specs=(
        '*:subcommands:'
        '--version[Show the version.]'
    )
    _arguments -w -s -S : "${arg_specs[@]}" && ret=0

    return "${ret}"
}

if [[ "${funcstack[1]}" = _pkarr-serve ]]; then
    _pkarr-serve "${@}"
else
    compdef _pkarr-serve pkarr-serve
fi
