function __quic-dial_should_offer_completions_for_flags_or_options -a expected_commands
    set -l non_repeating_flags_or_options $argv[2..]
    set -l non_repeating_flags_or_options_absent 0
    set -l positional_index 0
    set -l commands
    __quic-dial_parse_tokens
    test "$commands" = "$expected_commands"; and return $non_repeating_flags_or_options_absent
end

function __quic-dial_should_offer_completions_for_positional -a expected_commands positional_index_comparison expected_positional_index
    set -l non_repeating_flags_or_options
    set -l non_repeating_flags_or_options_absent 0
    set -l positional_index 0
    set -l commands
    __quic-dial_parse_tokens
    test "$commands" = "$expected_commands" -a \( "$positional_index" "$positional_index_comparison" "$expected_positional_index" \)
end

function __quic-dial_parse_tokens -S
    set -l unparsed_tokens (__quic-dial_tokens -pc)
    switch $unparsed_tokens[1]
    case 'quic-dial'
        __quic-dial_parse_subcommand -r 1 'key=' 'alpn=' 'endpoint=' 'relay-token=+' 'no-relays' 'no-direct' 'stun=+' 'no-port-map' 'timeout=' 'bridge=' 'stdio' 'metrics=' 'log-format=' 'v/verbose' 'version' 'h/help'
        switch $unparsed_tokens[1]
        case 'help'
            __quic-dial_parse_subcommand -r 1 'version'
        end
    end
end

function __quic-dial_tokens
    if test (string split -m 1 -f 1 -- . "$FISH_VERSION") -gt 3
        commandline --tokens-raw $argv
    else
        commandline -o $argv
    end
end

function __quic-dial_parse_subcommand -S -a positional_count
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

function __quic-dial_complete_directories
    set -l token (commandline -t)
    string match -- '*/' $token
    set -l subdirs $token*/
    printf %s\n $subdirs
end

function __quic-dial_custom_completion
    set -x SAP_SHELL fish
    set -x SAP_SHELL_VERSION $FISH_VERSION
    set -l tokens (__quic-dial_tokens -p)
    if test -z "$(__quic-dial_tokens -t)"
        set -l index (count (__quic-dial_tokens -pc))
        set tokens $tokens[..$index] \'\' $tokens[(math $index + 1)..]
    end
    command $tokens[1] $argv $tokens
end

complete -c 'quic-dial' -f
complete -c 'quic-dial' -n '__quic-dial_should_offer_completions_for_flags_or_options "quic-dial" key' -l 'key' -d 'Secret key file to be known by; without it a fresh key is made.' -rfka ''
complete -c 'quic-dial' -n '__quic-dial_should_offer_completions_for_flags_or_options "quic-dial" alpn' -l 'alpn' -d 'Application protocol to ask for.' -rfka ''
complete -c 'quic-dial' -n '__quic-dial_should_offer_completions_for_flags_or_options "quic-dial" endpoint' -l 'endpoint' -d 'File with endpoint lines to read instead of standard input.' -rfka ''
complete -c 'quic-dial' -n '__quic-dial_should_offer_completions_for_flags_or_options "quic-dial"' -l 'relay-token' -d 'A relay and the file with the token that it asks for, readable by its owner only (repeatable).' -rfka ''
complete -c 'quic-dial' -n '__quic-dial_should_offer_completions_for_flags_or_options "quic-dial" no-relays' -l 'no-relays' -d 'Use no relays.'
complete -c 'quic-dial' -n '__quic-dial_should_offer_completions_for_flags_or_options "quic-dial" no-direct' -l 'no-direct' -d 'Use relays only: no addresses of the peers, and no hole punching.'
complete -c 'quic-dial' -n '__quic-dial_should_offer_completions_for_flags_or_options "quic-dial"' -l 'stun' -d 'A STUN server that tells which address others see (repeatable; default: the peers\' relays).' -rfka ''
complete -c 'quic-dial' -n '__quic-dial_should_offer_completions_for_flags_or_options "quic-dial" no-port-map' -l 'no-port-map' -d 'Don\'t ask the router to send on what comes to a port of it.'
complete -c 'quic-dial' -n '__quic-dial_should_offer_completions_for_flags_or_options "quic-dial" timeout' -l 'timeout' -d 'Time after which a peer counts as unreachable.' -rfka ''
complete -c 'quic-dial' -n '__quic-dial_should_offer_completions_for_flags_or_options "quic-dial" bridge' -l 'bridge' -d 'Socket of tunnel-bridge connect, which hands over the connections that want a stream.' -rfka ''
complete -c 'quic-dial' -n '__quic-dial_should_offer_completions_for_flags_or_options "quic-dial" stdio' -l 'stdio' -d 'Open one stream and make it standard input and output.'
complete -c 'quic-dial' -n '__quic-dial_should_offer_completions_for_flags_or_options "quic-dial" metrics' -l 'metrics' -d 'Write figures for Prometheus\' node exporter to this file, every 15 s and at SIGUSR1.' -rfka ''
complete -c 'quic-dial' -n '__quic-dial_should_offer_completions_for_flags_or_options "quic-dial" log-format' -l 'log-format' -d 'How messages on standard error look.' -rfka 'text json'
complete -c 'quic-dial' -n '__quic-dial_should_offer_completions_for_flags_or_options "quic-dial" v verbose' -l 'verbose' -s 'v' -d 'Say more on standard error.'
complete -c 'quic-dial' -n '__quic-dial_should_offer_completions_for_flags_or_options "quic-dial" version' -l 'version' -d 'Show the version.'
complete -c 'quic-dial' -n '__quic-dial_should_offer_completions_for_flags_or_options "quic-dial" h help' -s 'h' -l 'help' -d 'Show help information.'
complete -c 'quic-dial' -n '__quic-dial_should_offer_completions_for_positional "quic-dial" -eq 1' -fa 'help' -d 'Show subcommand help information.'
complete -c 'quic-dial' -n '__quic-dial_should_offer_completions_for_flags_or_options "quic-dial help" version' -l 'version' -d 'Show the version.'
