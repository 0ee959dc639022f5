function __pkarr-resolve_should_offer_completions_for_flags_or_options -a expected_commands
    set -l non_repeating_flags_or_options $argv[2..]
    set -l non_repeating_flags_or_options_absent 0
    set -l positional_index 0
    set -l commands
    __pkarr-resolve_parse_tokens
    test "$commands" = "$expected_commands"; and return $non_repeating_flags_or_options_absent
end

function __pkarr-resolve_should_offer_completions_for_positional -a expected_commands positional_index_comparison expected_positional_index
    set -l non_repeating_flags_or_options
    set -l non_repeating_flags_or_options_absent 0
    set -l positional_index 0
    set -l commands
    __pkarr-resolve_parse_tokens
    test "$commands" = "$expected_commands" -a \( "$positional_index" "$positional_index_comparison" "$expected_positional_index" \)
end

function __pkarr-resolve_parse_tokens -S
    set -l unparsed_tokens (__pkarr-resolve_tokens -pc)
    switch $unparsed_tokens[1]
    case 'pkarr-resolve'
        __pkarr-resolve_parse_subcommand -r 1 'relay=+' 'no-relays' 'bootstrap=+' 'no-dht' 'testnet' 'state=' 'watch=' 'stdin' 'audit' 'log-format=' 'v/verbose' 'version' 'h/help'
        switch $unparsed_tokens[1]
        case 'help'
            __pkarr-resolve_parse_subcommand -r 1 'version'
        end
    end
end

function __pkarr-resolve_tokens
    if test (string split -m 1 -f 1 -- . "$FISH_VERSION") -gt 3
        commandline --tokens-raw $argv
    else
        commandline -o $argv
    end
end

function __pkarr-resolve_parse_subcommand -S -a positional_count
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

function __pkarr-resolve_complete_directories
    set -l token (commandline -t)
    string match -- '*/' $token
    set -l subdirs $token*/
    printf %s\n $subdirs
end

function __pkarr-resolve_custom_completion
    set -x SAP_SHELL fish
    set -x SAP_SHELL_VERSION $FISH_VERSION
    set -l tokens (__pkarr-resolve_tokens -p)
    if test -z "$(__pkarr-resolve_tokens -t)"
        set -l index (count (__pkarr-resolve_tokens -pc))
        set tokens $tokens[..$index] \'\' $tokens[(math $index + 1)..]
    end
    command $tokens[1] $argv $tokens
end

complete -c 'pkarr-resolve' -f
complete -c 'pkarr-resolve' -n '__pkarr-resolve_should_offer_completions_for_flags_or_options "pkarr-resolve"' -l 'relay' -d 'A pkarr relay (repeatable; default: PKARR_RELAYS, else the public ones).' -rfka ''
complete -c 'pkarr-resolve' -n '__pkarr-resolve_should_offer_completions_for_flags_or_options "pkarr-resolve" no-relays' -l 'no-relays' -d 'Use no relays.'
complete -c 'pkarr-resolve' -n '__pkarr-resolve_should_offer_completions_for_flags_or_options "pkarr-resolve"' -l 'bootstrap' -d 'A node to enter the DHT through (repeatable; default: PKARR_BOOTSTRAP, else the public network\'s).' -rfka ''
complete -c 'pkarr-resolve' -n '__pkarr-resolve_should_offer_completions_for_flags_or_options "pkarr-resolve" no-dht' -l 'no-dht' -d 'Do not use the DHT.'
complete -c 'pkarr-resolve' -n '__pkarr-resolve_should_offer_completions_for_flags_or_options "pkarr-resolve" testnet' -l 'testnet' -d 'Publish and look in a Pubky testnet on this machine: localhost:6881 and http://localhost:15411.'
complete -c 'pkarr-resolve' -n '__pkarr-resolve_should_offer_completions_for_flags_or_options "pkarr-resolve" state' -l 'state' -d 'Remember between runs in this directory (default: STATE_DIRECTORY, as systemd sets it, else nothing is remembered).' -rfka ''
complete -c 'pkarr-resolve' -n '__pkarr-resolve_should_offer_completions_for_flags_or_options "pkarr-resolve" watch' -l 'watch' -d 'Look again this often, and write a line each time there is something newer.' -rfka ''
complete -c 'pkarr-resolve' -n '__pkarr-resolve_should_offer_completions_for_flags_or_options "pkarr-resolve" stdin' -l 'stdin' -d 'Read keys from standard input, and answer each with a line.'
complete -c 'pkarr-resolve' -n '__pkarr-resolve_should_offer_completions_for_flags_or_options "pkarr-resolve" audit' -l 'audit' -d 'Write what each DHT node and relay has of the key, and a verdict, instead of the packet.'
complete -c 'pkarr-resolve' -n '__pkarr-resolve_should_offer_completions_for_flags_or_options "pkarr-resolve" log-format' -l 'log-format' -d 'How messages on standard error look.' -rfka 'text json'
complete -c 'pkarr-resolve' -n '__pkarr-resolve_should_offer_completions_for_flags_or_options "pkarr-resolve" v verbose' -l 'verbose' -s 'v' -d 'Say more on standard error.'
complete -c 'pkarr-resolve' -n '__pkarr-resolve_should_offer_completions_for_flags_or_options "pkarr-resolve" version' -l 'version' -d 'Show the version.'
complete -c 'pkarr-resolve' -n '__pkarr-resolve_should_offer_completions_for_flags_or_options "pkarr-resolve" h help' -s 'h' -l 'help' -d 'Show help information.'
complete -c 'pkarr-resolve' -n '__pkarr-resolve_should_offer_completions_for_positional "pkarr-resolve" -eq 1' -fa 'help' -d 'Show subcommand help information.'
complete -c 'pkarr-resolve' -n '__pkarr-resolve_should_offer_completions_for_flags_or_options "pkarr-resolve help" version' -l 'version' -d 'Show the version.'
