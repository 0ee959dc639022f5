function __pkarr-serve_should_offer_completions_for_flags_or_options -a expected_commands
    set -l non_repeating_flags_or_options $argv[2..]
    set -l non_repeating_flags_or_options_absent 0
    set -l positional_index 0
    set -l commands
    __pkarr-serve_parse_tokens
    test "$commands" = "$expected_commands"; and return $non_repeating_flags_or_options_absent
end

function __pkarr-serve_should_offer_completions_for_positional -a expected_commands positional_index_comparison expected_positional_index
    set -l non_repeating_flags_or_options
    set -l non_repeating_flags_or_options_absent 0
    set -l positional_index 0
    set -l commands
    __pkarr-serve_parse_tokens
    test "$commands" = "$expected_commands" -a \( "$positional_index" "$positional_index_comparison" "$expected_positional_index" \)
end

function __pkarr-serve_parse_tokens -S
    set -l unparsed_tokens (__pkarr-serve_tokens -pc)
    switch $unparsed_tokens[1]
    case 'pkarr-serve'
        __pkarr-serve_parse_subcommand 0 'dht-bind=+' 'http=' 'bootstrap=+' 'hand-out=+' 'dns=+' 'dns-suffix=+' 'dns-forward=+' 'dns-forward-for=+' 'limit-dns=' 'limit-requests=' 'limit-lookups=' 'limit-queries=' 'exempt=+' 'behind-proxy=+' 'store=' 'store-size=' 'log-format=' 'v/verbose' 'version' 'h/help'
        switch $unparsed_tokens[1]
        case 'help'
            __pkarr-serve_parse_subcommand -r 1 'version'
        end
    end
end

function __pkarr-serve_tokens
    if test (string split -m 1 -f 1 -- . "$FISH_VERSION") -gt 3
        commandline --tokens-raw $argv
    else
        commandline -o $argv
    end
end

function __pkarr-serve_parse_subcommand -S -a positional_count
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

function __pkarr-serve_complete_directories
    set -l token (commandline -t)
    string match -- '*/' $token
    set -l subdirs $token*/
    printf %s\n $subdirs
end

function __pkarr-serve_custom_completion
    set -x SAP_SHELL fish
    set -x SAP_SHELL_VERSION $FISH_VERSION
    set -l tokens (__pkarr-serve_tokens -p)
    if test -z "$(__pkarr-serve_tokens -t)"
        set -l index (count (__pkarr-serve_tokens -pc))
        set tokens $tokens[..$index] \'\' $tokens[(math $index + 1)..]
    end
    command $tokens[1] $argv $tokens
end

complete -c 'pkarr-serve' -f
complete -c 'pkarr-serve' -n '__pkarr-serve_should_offer_completions_for_flags_or_options "pkarr-serve"' -l 'dht-bind' -d 'Where the DHT node listens (UDP); may be given once for IPv4 and once for IPv6 (default: port 6881 of both).' -rfka ''
complete -c 'pkarr-serve' -n '__pkarr-serve_should_offer_completions_for_flags_or_options "pkarr-serve" http' -l 'http' -d 'Where the relay listens (TCP, plain HTTP; default: 127.0.0.1:6881).' -rfka ''
complete -c 'pkarr-serve' -n '__pkarr-serve_should_offer_completions_for_flags_or_options "pkarr-serve"' -l 'bootstrap' -d 'A node of the network to join (repeatable; default: PKARR_BOOTSTRAP, else none).' -rfka ''
complete -c 'pkarr-serve' -n '__pkarr-serve_should_offer_completions_for_flags_or_options "pkarr-serve"' -l 'hand-out' -d 'Write packets of this key that are put here as packet lines, and publish them nowhere (repeatable).' -rfka ''
complete -c 'pkarr-serve' -n '__pkarr-serve_should_offer_completions_for_flags_or_options "pkarr-serve"' -l 'dns' -d 'Where to answer DNS questions for names under keys (UDP and TCP; repeatable; default: nowhere).' -rfka ''
complete -c 'pkarr-serve' -n '__pkarr-serve_should_offer_completions_for_flags_or_options "pkarr-serve"' -l 'dns-suffix' -d 'A domain in which keys are found, too, as KEY.NAME (repeatable; default: key).' -rfka ''
complete -c 'pkarr-serve' -n '__pkarr-serve_should_offer_completions_for_flags_or_options "pkarr-serve"' -l 'dns-forward' -d 'A DNS server for all other questions (repeatable; default: they are refused).' -rfka ''
complete -c 'pkarr-serve' -n '__pkarr-serve_should_offer_completions_for_flags_or_options "pkarr-serve"' -l 'dns-forward-for' -d 'Whose other questions are forwarded (repeatable; default: local networks).' -rfka ''
complete -c 'pkarr-serve' -n '__pkarr-serve_should_offer_completions_for_flags_or_options "pkarr-serve" limit-dns' -l 'limit-dns' -d 'DNS questions of one address.' -rfka ''
complete -c 'pkarr-serve' -n '__pkarr-serve_should_offer_completions_for_flags_or_options "pkarr-serve" limit-requests' -l 'limit-requests' -d 'HTTP requests of one address.' -rfka ''
complete -c 'pkarr-serve' -n '__pkarr-serve_should_offer_completions_for_flags_or_options "pkarr-serve" limit-lookups' -l 'limit-lookups' -d 'HTTP requests, and as many DNS questions, of one address for which the DHT is asked.' -rfka ''
complete -c 'pkarr-serve' -n '__pkarr-serve_should_offer_completions_for_flags_or_options "pkarr-serve" limit-queries' -l 'limit-queries' -d 'Queries of one address that the DHT node answers.' -rfka ''
complete -c 'pkarr-serve' -n '__pkarr-serve_should_offer_completions_for_flags_or_options "pkarr-serve"' -l 'exempt' -d 'Addresses without limits, which see the metrics (repeatable; or none; default: this machine, on the DHT also local networks).' -rfka ''
complete -c 'pkarr-serve' -n '__pkarr-serve_should_offer_completions_for_flags_or_options "pkarr-serve"' -l 'behind-proxy' -d 'A proxy to take the client\'s address from, in X-Forwarded-For (repeatable).' -rfka ''
complete -c 'pkarr-serve' -n '__pkarr-serve_should_offer_completions_for_flags_or_options "pkarr-serve" store' -l 'store' -d 'Keep packets and items in files of this folder, which is made if it is missing.' -rfka ''
complete -c 'pkarr-serve' -n '__pkarr-serve_should_offer_completions_for_flags_or_options "pkarr-serve" store-size' -l 'store-size' -d 'How large the files may become together.' -rfka ''
complete -c 'pkarr-serve' -n '__pkarr-serve_should_offer_completions_for_flags_or_options "pkarr-serve" log-format' -l 'log-format' -d 'How messages on standard error look.' -rfka 'text json'
complete -c 'pkarr-serve' -n '__pkarr-serve_should_offer_completions_for_flags_or_options "pkarr-serve" v verbose' -l 'verbose' -s 'v' -d 'Say more on standard error.'
complete -c 'pkarr-serve' -n '__pkarr-serve_should_offer_completions_for_flags_or_options "pkarr-serve" version' -l 'version' -d 'Show the version.'
complete -c 'pkarr-serve' -n '__pkarr-serve_should_offer_completions_for_flags_or_options "pkarr-serve" h help' -s 'h' -l 'help' -d 'Show help information.'
complete -c 'pkarr-serve' -n '__pkarr-serve_should_offer_completions_for_positional "pkarr-serve" -eq 1' -fa 'help' -d 'Show subcommand help information.'
complete -c 'pkarr-serve' -n '__pkarr-serve_should_offer_completions_for_flags_or_options "pkarr-serve help" version' -l 'version' -d 'Show the version.'
