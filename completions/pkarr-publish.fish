function __pkarr-publish_should_offer_completions_for_flags_or_options -a expected_commands
    set -l non_repeating_flags_or_options $argv[2..]
    set -l non_repeating_flags_or_options_absent 0
    set -l positional_index 0
    set -l commands
    __pkarr-publish_parse_tokens
    test "$commands" = "$expected_commands"; and return $non_repeating_flags_or_options_absent
end

function __pkarr-publish_should_offer_completions_for_positional -a expected_commands positional_index_comparison expected_positional_index
    set -l non_repeating_flags_or_options
    set -l non_repeating_flags_or_options_absent 0
    set -l positional_index 0
    set -l commands
    __pkarr-publish_parse_tokens
    test "$commands" = "$expected_commands" -a \( "$positional_index" "$positional_index_comparison" "$expected_positional_index" \)
end

function __pkarr-publish_parse_tokens -S
    set -l unparsed_tokens (__pkarr-publish_tokens -pc)
    switch $unparsed_tokens[1]
    case 'pkarr-publish'
        __pkarr-publish_parse_subcommand 0 'relay=+' 'no-relays' 'bootstrap=+' 'no-dht' 'testnet' 'state=' 'refresh=' 'rate=' 'jobs=' 'retries=' 'resume=' 'conflicts=' 'overwrite' 'log-format=' 'v/verbose' 'version' 'h/help'
        switch $unparsed_tokens[1]
        case 'help'
            __pkarr-publish_parse_subcommand -r 1 'version'
        end
    end
end

function __pkarr-publish_tokens
    if test (string split -m 1 -f 1 -- . "$FISH_VERSION") -gt 3
        commandline --tokens-raw $argv
    else
        commandline -o $argv
    end
end

function __pkarr-publish_parse_subcommand -S -a positional_count
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

function __pkarr-publish_complete_directories
    set -l token (commandline -t)
    string match -- '*/' $token
    set -l subdirs $token*/
    printf %s\n $subdirs
end

function __pkarr-publish_custom_completion
    set -x SAP_SHELL fish
    set -x SAP_SHELL_VERSION $FISH_VERSION
    set -l tokens (__pkarr-publish_tokens -p)
    if test -z "$(__pkarr-publish_tokens -t)"
        set -l index (count (__pkarr-publish_tokens -pc))
        set tokens $tokens[..$index] \'\' $tokens[(math $index + 1)..]
    end
    command $tokens[1] $argv $tokens
end

complete -c 'pkarr-publish' -f
complete -c 'pkarr-publish' -n '__pkarr-publish_should_offer_completions_for_flags_or_options "pkarr-publish"' -l 'relay' -d 'A pkarr relay (repeatable; default: PKARR_RELAYS, else the public ones).' -rfka ''
complete -c 'pkarr-publish' -n '__pkarr-publish_should_offer_completions_for_flags_or_options "pkarr-publish" no-relays' -l 'no-relays' -d 'Use no relays.'
complete -c 'pkarr-publish' -n '__pkarr-publish_should_offer_completions_for_flags_or_options "pkarr-publish"' -l 'bootstrap' -d 'A node to enter the DHT through (repeatable; default: PKARR_BOOTSTRAP, else the public network\'s).' -rfka ''
complete -c 'pkarr-publish' -n '__pkarr-publish_should_offer_completions_for_flags_or_options "pkarr-publish" no-dht' -l 'no-dht' -d 'Do not use the DHT.'
complete -c 'pkarr-publish' -n '__pkarr-publish_should_offer_completions_for_flags_or_options "pkarr-publish" testnet' -l 'testnet' -d 'Publish and look in a Pubky testnet on this machine: localhost:6881 and http://localhost:15411.'
complete -c 'pkarr-publish' -n '__pkarr-publish_should_offer_completions_for_flags_or_options "pkarr-publish" state' -l 'state' -d 'Remember between runs in this directory (default: STATE_DIRECTORY, as systemd sets it, else nothing is remembered).' -rfka ''
complete -c 'pkarr-publish' -n '__pkarr-publish_should_offer_completions_for_flags_or_options "pkarr-publish" refresh' -l 'refresh' -d 'Put each key\'s last packet again this often, until terminated.' -rfka ''
complete -c 'pkarr-publish' -n '__pkarr-publish_should_offer_completions_for_flags_or_options "pkarr-publish" rate' -l 'rate' -d 'Publish so many packets a second or minute at most, or as many as the network takes.' -rfka ''
complete -c 'pkarr-publish' -n '__pkarr-publish_should_offer_completions_for_flags_or_options "pkarr-publish" jobs' -l 'jobs' -d 'Packets under way on the DHT at the same time, at most 64.' -rfka ''
complete -c 'pkarr-publish' -n '__pkarr-publish_should_offer_completions_for_flags_or_options "pkarr-publish" retries' -l 'retries' -d 'Try a packet that reached nobody again so many times, waiting longer each time.' -rfka ''
complete -c 'pkarr-publish' -n '__pkarr-publish_should_offer_completions_for_flags_or_options "pkarr-publish" resume' -l 'resume' -d 'Note in a file what is stored, and skip what it says was stored within the last hour.' -rfka ''
complete -c 'pkarr-publish' -n '__pkarr-publish_should_offer_completions_for_flags_or_options "pkarr-publish" conflicts' -l 'conflicts' -d 'Write receipts that show packets of others to this file too, such as a named pipe to pkarr-build.' -rfka ''
complete -c 'pkarr-publish' -n '__pkarr-publish_should_offer_completions_for_flags_or_options "pkarr-publish" overwrite' -l 'overwrite' -d 'Replace also packets of others that are not merged, whose records are then lost.'
complete -c 'pkarr-publish' -n '__pkarr-publish_should_offer_completions_for_flags_or_options "pkarr-publish" log-format' -l 'log-format' -d 'How messages on standard error look.' -rfka 'text json'
complete -c 'pkarr-publish' -n '__pkarr-publish_should_offer_completions_for_flags_or_options "pkarr-publish" v verbose' -l 'verbose' -s 'v' -d 'Say more on standard error.'
complete -c 'pkarr-publish' -n '__pkarr-publish_should_offer_completions_for_flags_or_options "pkarr-publish" version' -l 'version' -d 'Show the version.'
complete -c 'pkarr-publish' -n '__pkarr-publish_should_offer_completions_for_flags_or_options "pkarr-publish" h help' -s 'h' -l 'help' -d 'Show help information.'
complete -c 'pkarr-publish' -n '__pkarr-publish_should_offer_completions_for_positional "pkarr-publish" -eq 1' -fa 'help' -d 'Show subcommand help information.'
complete -c 'pkarr-publish' -n '__pkarr-publish_should_offer_completions_for_flags_or_options "pkarr-publish help" version' -l 'version' -d 'Show the version.'
