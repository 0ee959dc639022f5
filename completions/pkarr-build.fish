function __pkarr-build_should_offer_completions_for_flags_or_options -a expected_commands
    set -l non_repeating_flags_or_options $argv[2..]
    set -l non_repeating_flags_or_options_absent 0
    set -l positional_index 0
    set -l commands
    __pkarr-build_parse_tokens
    test "$commands" = "$expected_commands"; and return $non_repeating_flags_or_options_absent
end

function __pkarr-build_should_offer_completions_for_positional -a expected_commands positional_index_comparison expected_positional_index
    set -l non_repeating_flags_or_options
    set -l non_repeating_flags_or_options_absent 0
    set -l positional_index 0
    set -l commands
    __pkarr-build_parse_tokens
    test "$commands" = "$expected_commands" -a \( "$positional_index" "$positional_index_comparison" "$expected_positional_index" \)
end

function __pkarr-build_parse_tokens -S
    set -l unparsed_tokens (__pkarr-build_tokens -pc)
    switch $unparsed_tokens[1]
    case 'pkarr-build'
        __pkarr-build_parse_subcommand 0 'key=' 'records=+' 'fallback=+' 'dry-run' 'every=' 'settle=' 'at=' 'generate-key=' 'state=' 'log-format=' 'v/verbose' 'version' 'h/help'
        switch $unparsed_tokens[1]
        case 'help'
            __pkarr-build_parse_subcommand -r 1 'version'
        end
    end
end

function __pkarr-build_tokens
    if test (string split -m 1 -f 1 -- . "$FISH_VERSION") -gt 3
        commandline --tokens-raw $argv
    else
        commandline -o $argv
    end
end

function __pkarr-build_parse_subcommand -S -a positional_count
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

function __pkarr-build_complete_directories
    set -l token (commandline -t)
    string match -- '*/' $token
    set -l subdirs $token*/
    printf %s\n $subdirs
end

function __pkarr-build_custom_completion
    set -x SAP_SHELL fish
    set -x SAP_SHELL_VERSION $FISH_VERSION
    set -l tokens (__pkarr-build_tokens -p)
    if test -z "$(__pkarr-build_tokens -t)"
        set -l index (count (__pkarr-build_tokens -pc))
        set tokens $tokens[..$index] \'\' $tokens[(math $index + 1)..]
    end
    command $tokens[1] $argv $tokens
end

complete -c 'pkarr-build' -f
complete -c 'pkarr-build' -n '__pkarr-build_should_offer_completions_for_flags_or_options "pkarr-build" key' -l 'key' -d 'The secret key that signs: 64 hexadecimal digits or 32 bytes, readable by nobody else.' -rfka ''
complete -c 'pkarr-build' -n '__pkarr-build_should_offer_completions_for_flags_or_options "pkarr-build"' -l 'records' -d 'Records to publish until lines bring others of the same name and type. May be repeated.' -rfka ''
complete -c 'pkarr-build' -n '__pkarr-build_should_offer_completions_for_flags_or_options "pkarr-build"' -l 'fallback' -d 'Records to publish as long as nobody else has published any of the same name. May be repeated.' -rfka ''
complete -c 'pkarr-build' -n '__pkarr-build_should_offer_completions_for_flags_or_options "pkarr-build" dry-run' -l 'dry-run' -d 'Sign nothing: show what would be published, and how it differs from the newest packet on standard input.'
complete -c 'pkarr-build' -n '__pkarr-build_should_offer_completions_for_flags_or_options "pkarr-build" every' -l 'every' -d 'Sign again after this time, and keep running as long as there is input.' -rfka ''
complete -c 'pkarr-build' -n '__pkarr-build_should_offer_completions_for_flags_or_options "pkarr-build" settle' -l 'settle' -d 'With --every: let a packet of others settle so long after it was signed, before it is merged.' -rfka ''
complete -c 'pkarr-build' -n '__pkarr-build_should_offer_completions_for_flags_or_options "pkarr-build" at' -l 'at' -d 'Take this as the present time, in microseconds since 1970, so that the output can be reproduced.' -rfka ''
complete -c 'pkarr-build' -n '__pkarr-build_should_offer_completions_for_flags_or_options "pkarr-build" generate-key' -l 'generate-key' -d 'Write a new secret key to a file, print its public key, and do nothing else.' -rfka ''
complete -c 'pkarr-build' -n '__pkarr-build_should_offer_completions_for_flags_or_options "pkarr-build" state' -l 'state' -d 'Remember between runs in this directory (default: STATE_DIRECTORY, as systemd sets it, else nothing is remembered).' -rfka ''
complete -c 'pkarr-build' -n '__pkarr-build_should_offer_completions_for_flags_or_options "pkarr-build" log-format' -l 'log-format' -d 'How messages on standard error look.' -rfka 'text json'
complete -c 'pkarr-build' -n '__pkarr-build_should_offer_completions_for_flags_or_options "pkarr-build" v verbose' -l 'verbose' -s 'v' -d 'Say more on standard error.'
complete -c 'pkarr-build' -n '__pkarr-build_should_offer_completions_for_flags_or_options "pkarr-build" version' -l 'version' -d 'Show the version.'
complete -c 'pkarr-build' -n '__pkarr-build_should_offer_completions_for_flags_or_options "pkarr-build" h help' -s 'h' -l 'help' -d 'Show help information.'
complete -c 'pkarr-build' -n '__pkarr-build_should_offer_completions_for_positional "pkarr-build" -eq 1' -fa 'help' -d 'Show subcommand help information.'
complete -c 'pkarr-build' -n '__pkarr-build_should_offer_completions_for_flags_or_options "pkarr-build help" version' -l 'version' -d 'Show the version.'
