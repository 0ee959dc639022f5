#compdef pkarr-build

__pkarr-build_complete() {
    local -ar non_empty_completions=("${@:#(|:*)}")
    local -ar empty_completions=("${(M)@:#(|:*)}")
    _describe -V '' non_empty_completions -- empty_completions -P $'\'\''
}

__pkarr-build_custom_complete() {
    local -a completions
    completions=("${(@f)"$("${command_name}" "${@}" "${command_line[@]}")"}")
    if [[ "${#completions[@]}" -gt 1 ]]; then
        __pkarr-build_complete "${completions[@]:0:-1}"
    fi
}

__pkarr-build_cursor_index_in_current_word() {
    if [[ -z "${QIPREFIX}${IPREFIX}${PREFIX}" ]]; then
        printf 0
    else
        printf %s "${#${(z)LBUFFER}[-1]}"
    fi
}

_pkarr-build() {
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
        '--key[The secret key that signs\: 64 hexadecimal digits or 32 bytes, readable by nobody else.]:file:'
        '*--records[Records to publish until lines bring others of the same name and type. May be repeated.]:file:'
        '*--fallback[Records to publish as long as nobody else has published any of the same name. May be repeated.]:file:'
        '--dry-run[Sign nothing\: show what would be published, and how it differs from the newest packet on standard input.]'
        '--every[Sign again after this time, and keep running as long as there is input.]:duration:'
        '--settle[With --every\: let a packet of others settle so long after it was signed, before it is merged.]:duration:'
        '--at[Take this as the present time, in microseconds since 1970, so that the output can be reproduced.]:microseconds:'
        '--generate-key[Write a new secret key to a file, print its public key, and do nothing else.]:file:'
        '--state[Remember between runs in this directory (default\: STATE_DIRECTORY, as systemd sets it, else nothing is remembered).]:DIR:'
        '--log-format[How messages on standard error look.]:text|json:{__pkarr-build_complete "${___log_format[@]}"}'
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
            "_pkarr-build_${words[1]}" && ret=0
            ;;
        esac
        ;;
    esac

    return "${ret}"
}

_pkarr-build_help() {
    local -i ret=1
    local -ar arg_specs=(
        '*:subcommands:'
        '--version[Show the version.]'
    )
    _arguments -w -s -S : "${arg_specs[@]}" && ret=0

    return "${ret}"
}

if [[ "${funcstack[1]}" = _pkarr-build ]]; then
    _pkarr-build "${@}"
else
    compdef _pkarr-build pkarr-build
fi
