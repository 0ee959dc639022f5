function __quic-relay_should_offer_completions_for_flags_or_options -a expected_commands
    set -l non_repeating_flags_or_options $argv[2..]
    set -l non_repeating_flags_or_options_absent 0
    set -l positional_index 0
    set -l commands
    __quic-relay_parse_tokens
    test "$commands" = "$expected_commands"; and return $non_repeating_flags_or_options_absent
end

function __quic-relay_should_offer_completions_for_positional -a expected_commands positional_index_comparison expected_positional_index
    set -l non_repeating_flags_or_options
    set -l non_repeating_flags_or_options_absent 0
    set -l positional_index 0
    set -l commands
    __quic-relay_parse_tokens
    test "$commands" = "$expected_commands" -a \( "$positional_index" "$positional_index_comparison" "$expected_positional_index" \)
end

function __quic-relay_parse_tokens -S
    set -l unparsed_tokens (__quic-relay_tokens -pc)
    switch $unparsed_tokens[1]
    case 'quic-relay'
        __quic-relay_parse_subcommand 0 'http=+' 'https=+' 'certificate=' 'certificate-key=' 'stun=+' 'access=' 'client-rate=' 'total-rate=' 'connections=' 'connections-per-address=' 'behind-proxy=+' 'exempt=+' 'log-format=' 'v/verbose' 'version' 'h/help'
        switch $unparsed_tokens[1]
        case 'help'
            __quic-relay_parse_subcommand -r 1 'version'
        end
    end
end

function __quic-relay_tokens
    if test (string split -m 1 -f 1 -- . "$FISH_VERSION") -gt 3
        commandline --tokens-raw $argv
    else
        commandline -o $argv
    end
end

function __quic-relay_parse_subcommand -S -a positional_count
    argparse -s r -- $argv
    set -l option_specs $argv[2..]
    set -l is_repeating_positional $_flag_r
    set -el _flag_r
    set -a commands $unparsed_tokens[1]
    set positional_index 0
    while true
        set -e unparsed_tokens[1]
        argparse -sn "$commands" $option_specs -- $unparsed_tokens 2> /dev/null
        set unparsed_tokens $argv
        set positional_index (math $positional_index + 1)
        for non_repeating_flag_or_option in $non_repeating_flags_or_options
            if set -ql "_flag_$(string replace -a - _ -- $non_repeating_flag_or_option)"
                set non_repeating_flags_or_options_absent 1
                break
            end
        end
        test (count $unparsed_tokens) -eq 0 -o \( -z "$is_repeating_positional" -a "$positional_index" -gt "$positional_count" \) && break
    end
end

function __quic-relay_complete_directories
    set -l token (commandline -t)
    string match -- '*/' $token
    set -l subdirs $token*/
    printf %s\n $subdirs
end

function __quic-relay_custom_completion
    set -x SAP_SHELL fish
    set -x SAP_SHELL_VERSION $FISH_VERSION
    set -l tokens (__quic-relay_tokens -p)
    if test -z "$(__quic-relay_tokens -t)"
        set -l index (count (__quic-relay_tokens -pc))
        set tokens $tokens[..$index] \'\' $tokens[(math $index + 1)..]
    end
    command $tokens[1] $argv $tokens
end

complete -c 'quic-relay' -f
complete -c 'quic-relay' -n '__quic-relay_should_offer_completions_for_flags_or_options "quic-relay"' -l 'http' -d 'Where it takes plain HTTP (repeatable; default: 127.0.0.1:3340 without --https).' -rfka ''
complete -c 'quic-relay' -n '__quic-relay_should_offer_completions_for_flags_or_options "quic-relay"' -l 'https' -d 'Where it takes HTTPS (repeatable).' -rfka ''
complete -c 'quic-relay' -n '__quic-relay_should_offer_completions_for_flags_or_options "quic-relay" certificate' -l 'certificate' -d 'The certificate chain for HTTPS, in PEM.' -rfka ''
complete -c 'quic-relay' -n '__quic-relay_should_offer_completions_for_flags_or_options "quic-relay" certificate-key' -l 'certificate-key' -d 'The certificate\'s secret key, in PEM.' -rfka ''
complete -c 'quic-relay' -n '__quic-relay_should_offer_completions_for_flags_or_options "quic-relay"' -l 'stun' -d 'Where it tells endpoints their public address (STUN, UDP; repeatable).' -rfka ''
complete -c 'quic-relay' -n '__quic-relay_should_offer_completions_for_flags_or_options "quic-relay" access' -l 'access' -d 'A list of who may use the relay (default: everybody).' -rfka ''
complete -c 'quic-relay' -n '__quic-relay_should_offer_completions_for_flags_or_options "quic-relay" client-rate' -l 'client-rate' -d 'Bytes a second from one client: 4M, 500K (default: no limit).' -rfka ''
complete -c 'quic-relay' -n '__quic-relay_should_offer_completions_for_flags_or_options "quic-relay" total-rate' -l 'total-rate' -d 'Bytes a second from all clients (default: no limit).' -rfka ''
complete -c 'quic-relay' -n '__quic-relay_should_offer_completions_for_flags_or_options "quic-relay" connections' -l 'connections' -d 'Connections at once (default: as many as open files allow, but 16384 at most).' -rfka ''
complete -c 'quic-relay' -n '__quic-relay_should_offer_completions_for_flags_or_options "quic-relay" connections-per-address' -l 'connections-per-address' -d 'Connections at once from one address.' -rfka ''
complete -c 'quic-relay' -n '__quic-relay_should_offer_completions_for_flags_or_options "quic-relay"' -l 'behind-proxy' -d 'A proxy to take the client\'s address from, in X-Forwarded-For (repeatable).' -rfka ''
complete -c 'quic-relay' -n '__quic-relay_should_offer_completions_for_flags_or_options "quic-relay"' -l 'exempt' -d 'Addresses without limits, which see the metrics (repeatable; none for nobody; default: this machine).' -rfka ''
complete -c 'quic-relay' -n '__quic-relay_should_offer_completions_for_flags_or_options "quic-relay" log-format' -l 'log-format' -d 'How messages on standard error look.' -rfka 'text json'
complete -c 'quic-relay' -n '__quic-relay_should_offer_completions_for_flags_or_options "quic-relay" v verbose' -l 'verbose' -s 'v' -d 'Say more on standard error.'
complete -c 'quic-relay' -n '__quic-relay_should_offer_completions_for_flags_or_options "quic-relay" version' -l 'version' -d 'Show the version.'
complete -c 'quic-relay' -n '__quic-relay_should_offer_completions_for_flags_or_options "quic-relay" h help' -s 'h' -l 'help' -d 'Show help information.'
complete -c 'quic-relay' -n '__quic-relay_should_offer_completions_for_positional "quic-relay" -eq 1' -fa 'help' -d 'Show subcommand help information.'
complete -c 'quic-relay' -n '__quic-relay_should_offer_completions_for_flags_or_options "quic-relay help" version' -l 'version' -d 'Show the version.'
