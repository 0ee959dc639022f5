function __keyhole-diagnose_should_offer_completions_for_flags_or_options -a expected_commands
    set -l non_repeating_flags_or_options $argv[2..]
    set -l non_repeating_flags_or_options_absent 0
    set -l positional_index 0
    set -l commands
    __keyhole-diagnose_parse_tokens
    test "$commands" = "$expected_commands"; and return $non_repeating_flags_or_options_absent
end

function __keyhole-diagnose_should_offer_completions_for_positional -a expected_commands positional_index_comparison expected_positional_index
    set -l non_repeating_flags_or_options
    set -l non_repeating_flags_or_options_absent 0
    set -l positional_index 0
    set -l commands
    __keyhole-diagnose_parse_tokens
    test "$commands" = "$expected_commands" -a \( "$positional_index" "$positional_index_comparison" "$expected_positional_index" \)
end

function __keyhole-diagnose_parse_tokens -S
    set -l unparsed_tokens (__keyhole-diagnose_tokens -pc)
    switch $unparsed_tokens[1]
    case 'keyhole-diagnose'
        __keyhole-diagnose_parse_subcommand 1 'relay=+' 'no-relays' 'bootstrap=+' 'no-dht' 'testnet' 'state=' 'iroh-relay=+' 'relay-token=+' 'stun=+' 'no-port-map' 'key=' 'alpn=' 'no-request' 'timeout=' 'log-format=' 'v/verbose' 'version' 'h/help'
        switch $unparsed_tokens[1]
        case 'help'
            __keyhole-diagnose_parse_subcommand -r 1 'version'
        end
    end
end

function __keyhole-diagnose_tokens
    if test (string split -m 1 -f 1 -- . "$FISH_VERSION") -gt 3
        commandline --tokens-raw $argv
    else
        commandline -o $argv
    end
end

function __keyhole-diagnose_parse_subcommand -S -a positional_count
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

function __keyhole-diagnose_complete_directories
    set -l token (commandline -t)
    string match -- '*/' $token
    set -l subdirs $token*/
    printf %s\n $subdirs
end

function __keyhole-diagnose_custom_completion
    set -x SAP_SHELL fish
    set -x SAP_SHELL_VERSION $FISH_VERSION
    set -l tokens (__keyhole-diagnose_tokens -p)
    if test -z "$(__keyhole-diagnose_tokens -t)"
        set -l index (count (__keyhole-diagnose_tokens -pc))
        set tokens $tokens[..$index] \'\' $tokens[(math $index + 1)..]
    end
    command $tokens[1] $argv $tokens
end

complete -c 'keyhole-diagnose' -f
complete -c 'keyhole-diagnose' -n '__keyhole-diagnose_should_offer_completions_for_flags_or_options "keyhole-diagnose"' -l 'relay' -d 'A pkarr relay (repeatable; default: PKARR_RELAYS, else the public ones).' -rfka ''
complete -c 'keyhole-diagnose' -n '__keyhole-diagnose_should_offer_completions_for_flags_or_options "keyhole-diagnose" no-relays' -l 'no-relays' -d 'Use no relays.'
complete -c 'keyhole-diagnose' -n '__keyhole-diagnose_should_offer_completions_for_flags_or_options "keyhole-diagnose"' -l 'bootstrap' -d 'A node to enter the DHT through (repeatable; default: PKARR_BOOTSTRAP, else the public network\'s).' -rfka ''
complete -c 'keyhole-diagnose' -n '__keyhole-diagnose_should_offer_completions_for_flags_or_options "keyhole-diagnose" no-dht' -l 'no-dht' -d 'Do not use the DHT.'
complete -c 'keyhole-diagnose' -n '__keyhole-diagnose_should_offer_completions_for_flags_or_options "keyhole-diagnose" testnet' -l 'testnet' -d 'Publish and look in a Pubky testnet on this machine: localhost:6881 and http://localhost:15411.'
complete -c 'keyhole-diagnose' -n '__keyhole-diagnose_should_offer_completions_for_flags_or_options "keyhole-diagnose" state' -l 'state' -d 'Remember between runs in this directory (default: STATE_DIRECTORY, as systemd sets it, else nothing is remembered).' -rfka ''
complete -c 'keyhole-diagnose' -n '__keyhole-diagnose_should_offer_completions_for_flags_or_options "keyhole-diagnose"' -l 'iroh-relay' -d 'An iroh relay to try besides those of the packet (repeatable; default: IROH_RELAYS, else none).' -rfka ''
complete -c 'keyhole-diagnose' -n '__keyhole-diagnose_should_offer_completions_for_flags_or_options "keyhole-diagnose"' -l 'relay-token' -d 'A relay and the file with the token that it asks for, readable by its owner only (repeatable).' -rfka ''
complete -c 'keyhole-diagnose' -n '__keyhole-diagnose_should_offer_completions_for_flags_or_options "keyhole-diagnose"' -l 'stun' -d 'A STUN server that tells which address others see; two tell the kind of NAT (repeatable; default: the iroh relays).' -rfka ''
complete -c 'keyhole-diagnose' -n '__keyhole-diagnose_should_offer_completions_for_flags_or_options "keyhole-diagnose" no-port-map' -l 'no-port-map' -d 'Don\'t ask the router to send on what comes to a port of it.'
complete -c 'keyhole-diagnose' -n '__keyhole-diagnose_should_offer_completions_for_flags_or_options "keyhole-diagnose" key' -l 'key' -d 'Secret key file to be known by; without it a fresh key is made.' -rfka ''
complete -c 'keyhole-diagnose' -n '__keyhole-diagnose_should_offer_completions_for_flags_or_options "keyhole-diagnose" alpn' -l 'alpn' -d 'Application protocol to ask for.' -rfka ''
complete -c 'keyhole-diagnose' -n '__keyhole-diagnose_should_offer_completions_for_flags_or_options "keyhole-diagnose" no-request' -l 'no-request' -d 'Send no HTTP request.'
complete -c 'keyhole-diagnose' -n '__keyhole-diagnose_should_offer_completions_for_flags_or_options "keyhole-diagnose" timeout' -l 'timeout' -d 'Time after which the verdict is given, whatever is not known yet.' -rfka ''
complete -c 'keyhole-diagnose' -n '__keyhole-diagnose_should_offer_completions_for_flags_or_options "keyhole-diagnose" log-format' -l 'log-format' -d 'How messages on standard error look.' -rfka 'text json'
complete -c 'keyhole-diagnose' -n '__keyhole-diagnose_should_offer_completions_for_flags_or_options "keyhole-diagnose" v verbose' -l 'verbose' -s 'v' -d 'Say more on standard error.'
complete -c 'keyhole-diagnose' -n '__keyhole-diagnose_should_offer_completions_for_flags_or_options "keyhole-diagnose" version' -l 'version' -d 'Show the version.'
complete -c 'keyhole-diagnose' -n '__keyhole-diagnose_should_offer_completions_for_flags_or_options "keyhole-diagnose" h help' -s 'h' -l 'help' -d 'Show help information.'
complete -c 'keyhole-diagnose' -n '__keyhole-diagnose_should_offer_completions_for_positional "keyhole-diagnose" -eq 1' -fa 'help' -d 'Show subcommand help information.'
complete -c 'keyhole-diagnose' -n '__keyhole-diagnose_should_offer_completions_for_flags_or_options "keyhole-diagnose help" version' -l 'version' -d 'Show the version.'
