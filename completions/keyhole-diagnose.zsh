#compdef keyhole-diagnose

__keyhole-diagnose_complete() {
    local -ar non_empty_completions=("${@:#(|:*)}")
    local -ar empty_completions=("${(M)@:#(|:*)}")
    _describe -V '' non_empty_completions -- empty_completions -P $'\'\''
}

__keyhole-diagnose_custom_complete() {
    local -a completions
    completions=("${(@f)"$("${command_name}" "${@}" "${command_line[@]}")"}")
    if [[ "${#completions[@]}" -gt 1 ]]; then
        __keyhole-diagnose_complete "${completions[@]:0:-1}"
    fi
}

__keyhole-diagnose_cursor_index_in_current_word() {
    if [[ -z "${QIPREFIX}${IPREFIX}${PREFIX}" ]]; then
        printf 0
    else
        printf %s "${#${(z)LBUFFER}[-1]}"
    fi
}

_keyhole-diagnose() {
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
        '*--iroh-relay[An iroh relay to try besides those of the packet (repeatable; default\: IROH_RELAYS, else none).]:URL:'
        '*--relay-token[A relay and the file with the token that it asks for, readable by its owner only (repeatable).]:URL=file:'
        '*--stun[A STUN server that tells which address others see; two tell the kind of NAT (repeatable; default\: the iroh relays).]:host\:port:'
        '--no-port-map[Don'\''t ask the router to send on what comes to a port of it.]'
        '--key[Secret key file to be known by; without it a fresh key is made.]:file:'
        '--alpn[Application protocol to ask for.]:name:'
        '--no-request[Send no HTTP request.]'
        '--timeout[Time after which the verdict is given, whatever is not known yet.]:duration:'
        '--log-format[How messages on standard error look.]:text|json:{__keyhole-diagnose_complete "${___log_format[@]}"}'
        '(--verbose -v)'{--verbose,-v}'[Say more on standard error.]'
        ':KEY:'
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
            "_keyhole-diagnose_${words[1]}" && ret=0
            ;;
        esac
        ;;
    esac

    return "${ret}"
}

_keyhole-diagnose_help() {
    local -i ret=1
    local -ar arg_specs=(
        '*:subcommands:'
        '--version[Show the version.]'
    )
    _arguments -w -s -S : "${arg_specs[@]}" && ret=0

    return "${ret}"
}

if [[ "${funcstack[1]}" = _keyhole-diagnose ]]; then
    _keyhole-diagnose "${@}"
else
    compdef _keyhole-diagnose keyhole-diagnose
fi
