function __quic-listen_should_offer_completions_for_flags_or_options -a expected_commands
    set -l non_repeating_flags_or_options $argv[2..]
    set -l non_repeating_flags_or_options_absent 0
    set -l positional_index 0
    set -l commands
    __quic-listen_parse_tokens
    test "$commands" = "$expected_commands"; and return $non_repeating_flags_or_options_absent
end

function __quic-listen_should_offer_completions_for_positional -a expected_commands positional_index_comparison expected_positional_index
    set -l non_repeating_flags_or_options
    set -l non_repeating_flags_or_options_absent 0
    set -l positional_index 0
    set -l commands
    __quic-listen_parse_tokens
    test "$commands" = "$expected_commands" -a \( "$positional_index" "$positional_index_comparison" "$expected_positional_index" \)
end

function __quic-listen_parse_tokens -S
    set -l unparsed_tokens (__quic-listen_tokens -pc)
    switch $unparsed_tokens[1]
    case 'quic-listen'
        __quic-listen_parse_subcommand -r 1 'key=' 'alpn=+' 'bind=+' 'address=+' 'lan' 'no-port-map' 'bridge=' 'retry-threshold=' 'relay=+' 'relay-list=' 'relay-token=' 'no-relays' 'stun=+' 'metrics=' 'log-format=' 'v/verbose' 'version' 'h/help'
        switch $unparsed_tokens[1]
        case 'help'
            __quic-listen_parse_subcommand -r 1 'version'
        end
    end
end

function __quic-listen_tokens
    if test (string split -m 1 -f 1 -- . "$FISH_VERSION") -gt 3
        commandline --tokens-raw $argv
    else
        commandline -o $argv
    end
end

function __quic-listen_parse_subcommand -S -a positional_count
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

function __quic-listen_complete_directories
    set -l token (commandline -t)
    string match -- '*/' $token
    set -l subdirs $token*/
    printf %s\n $subdirs
end

function __quic-listen_custom_completion
    set -x SAP_SHELL fish
    set -x SAP_SHELL_VERSION $FISH_VERSION
    set -l tokens (__quic-listen_tokens -p)
    if test -z "$(__quic-listen_tokens -t)"
        set -l index (count (__quic-listen_tokens -pc))
        set tokens $tokens[..$index] \'\' $tokens[(math $index + 1)..]
    end
    command $tokens[1] $argv $tokens
end

complete -c 'quic-listen' -f
complete -c 'quic-listen' -n '__quic-listen_should_offer_completions_for_flags_or_options "quic-listen" key' -l 'key' -d 'Secret key file: 64 hexadecimal digits or 32 bytes, readable by its owner only.' -rfka ''
complete -c 'quic-listen' -n '__quic-listen_should_offer_completions_for_flags_or_options "quic-listen"' -l 'alpn' -d 'Application protocol taken; may be repeated, most wanted first. (default: pubky/iroh-homeserver/0)' -rfka ''
complete -c 'quic-listen' -n '__quic-listen_should_offer_completions_for_flags_or_options "quic-listen"' -l 'bind' -d 'UDP address to listen on; may be repeated. (default: a free port on 0.0.0.0 and [::])' -rfka ''
complete -c 'quic-listen' -n '__quic-listen_should_offer_completions_for_flags_or_options "quic-listen"' -l 'address' -d 'Address to announce besides those found, such as a forwarded port; may be repeated.' -rfka ''
complete -c 'quic-listen' -n '__quic-listen_should_offer_completions_for_flags_or_options "quic-listen" lan' -l 'lan' -d 'Announce addresses of the local network too.'
complete -c 'quic-listen' -n '__quic-listen_should_offer_completions_for_flags_or_options "quic-listen" no-port-map' -l 'no-port-map' -d 'Don\'t ask the router to send on what comes to a port of it.'
complete -c 'quic-listen' -n '__quic-listen_should_offer_completions_for_flags_or_options "quic-listen" bridge' -l 'bridge' -d 'Socket of tunnel-bridge serve, which gives each stream its local connection.' -rfka ''
complete -c 'quic-listen' -n '__quic-listen_should_offer_completions_for_flags_or_options "quic-listen" retry-threshold' -l 'retry-threshold' -d 'Connections in their handshake from which on new clients have to prove their address by Retry.' -rfka ''
complete -c 'quic-listen' -n '__quic-listen_should_offer_completions_for_flags_or_options "quic-listen"' -l 'relay' -d 'An iroh relay to be reachable through (repeatable; default: IROH_RELAYS, else none).' -rfka ''
complete -c 'quic-listen' -n '__quic-listen_should_offer_completions_for_flags_or_options "quic-listen" relay-list' -l 'relay-list' -d 'File with more relays, one URL a line; read again on SIGHUP.' -rfka ''
complete -c 'quic-listen' -n '__quic-listen_should_offer_completions_for_flags_or_options "quic-listen" relay-token' -l 'relay-token' -d 'File with the token that the relays ask for, readable by its owner only.' -rfka ''
complete -c 'quic-listen' -n '__quic-listen_should_offer_completions_for_flags_or_options "quic-listen" no-relays' -l 'no-relays' -d 'Use no relays.'
complete -c 'quic-listen' -n '__quic-listen_should_offer_completions_for_flags_or_options "quic-listen"' -l 'stun' -d 'A STUN server that tells which address others see (repeatable; default: the relays).' -rfka ''
complete -c 'quic-listen' -n '__quic-listen_should_offer_completions_for_flags_or_options "quic-listen" metrics' -l 'metrics' -d 'Write figures for Prometheus\' node exporter to this file, every 15 s and at SIGUSR1.' -rfka ''
complete -c 'quic-listen' -n '__quic-listen_should_offer_completions_for_flags_or_options "quic-listen" log-format' -l 'log-format' -d 'How messages on standard error look.' -rfka 'text json'
complete -c 'quic-listen' -n '__quic-listen_should_offer_completions_for_flags_or_options "quic-listen" v verbose' -l 'verbose' -s 'v' -d 'Say more on standard error.'
complete -c 'quic-listen' -n '__quic-listen_should_offer_completions_for_flags_or_options "quic-listen" version' -l 'version' -d 'Show the version.'
complete -c 'quic-listen' -n '__quic-listen_should_offer_completions_for_flags_or_options "quic-listen" h help' -s 'h' -l 'help' -d 'Show help information.'
complete -c 'quic-listen' -n '__quic-listen_should_offer_completions_for_positional "quic-listen" -eq 1' -fa 'help' -d 'Show subcommand help information.'
complete -c 'quic-listen' -n '__quic-listen_should_offer_completions_for_flags_or_options "quic-listen help" version' -l 'version' -d 'Show the version.'
