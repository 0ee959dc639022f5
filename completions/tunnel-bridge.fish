function __tunnel-bridge_should_offer_completions_for_flags_or_options -a expected_commands
    set -l non_repeating_flags_or_options $argv[2..]
    set -l non_repeating_flags_or_options_absent 0
    set -l positional_index 0
    set -l commands
    __tunnel-bridge_parse_tokens
    test "$commands" = "$expected_commands"; and return $non_repeating_flags_or_options_absent
end

function __tunnel-bridge_should_offer_completions_for_positional -a expected_commands positional_index_comparison expected_positional_index
    set -l non_repeating_flags_or_options
    set -l non_repeating_flags_or_options_absent 0
    set -l positional_index 0
    set -l commands
    __tunnel-bridge_parse_tokens
    test "$commands" = "$expected_commands" -a \( "$positional_index" "$positional_index_comparison" "$expected_positional_index" \)
end

function __tunnel-bridge_parse_tokens -S
    set -l unparsed_tokens (__tunnel-bridge_tokens -pc)
    switch $unparsed_tokens[1]
    case 'tunnel-bridge'
        __tunnel-bridge_parse_subcommand 0 'version' 'h/help'
        switch $unparsed_tokens[1]
        case 'serve'
            __tunnel-bridge_parse_subcommand 0 'metrics=' 'log-format=' 'v/verbose' 'socket=' 'to=+' 'access=' 'http' 'tls-to=' 'proxy-protocol' 'version' 'h/help'
        case 'connect'
            __tunnel-bridge_parse_subcommand 0 'metrics=' 'log-format=' 'v/verbose' 'socket=' 'listen=' 'peer=' 'version' 'h/help'
        case 'proxy'
            __tunnel-bridge_parse_subcommand 0 'metrics=' 'log-format=' 'v/verbose' 'socket=' 'listen=' 'token-file=' 'forward-others' 'allow-origin=+' 'require-key' 'allow-local' 'authorities=' 'streams' 'timeout=' 'answer-timeout=' 'max-connections=' 'version' 'h/help'
        case 'help'
            __tunnel-bridge_parse_subcommand -r 1 'version'
        end
    end
end

function __tunnel-bridge_tokens
    if test (string split -m 1 -f 1 -- . "$FISH_VERSION") -gt 3
        commandline --tokens-raw $argv
    else
        commandline -o $argv
    end
end

function __tunnel-bridge_parse_subcommand -S -a positional_count
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

function __tunnel-bridge_complete_directories
    set -l token (commandline -t)
    string match -- '*/' $token
    set -l subdirs $token*/
    printf %s\n $subdirs
end

function __tunnel-bridge_custom_completion
    set -x SAP_SHELL fish
    set -x SAP_SHELL_VERSION $FISH_VERSION
    set -l tokens (__tunnel-bridge_tokens -p)
    if test -z "$(__tunnel-bridge_tokens -t)"
        set -l index (count (__tunnel-bridge_tokens -pc))
        set tokens $tokens[..$index] \'\' $tokens[(math $index + 1)..]
    end
    command $tokens[1] $argv $tokens
end

complete -c 'tunnel-bridge' -f
complete -c 'tunnel-bridge' -n '__tunnel-bridge_should_offer_completions_for_flags_or_options "tunnel-bridge" version' -l 'version' -d 'Show the version.'
complete -c 'tunnel-bridge' -n '__tunnel-bridge_should_offer_completions_for_flags_or_options "tunnel-bridge" h help' -s 'h' -l 'help' -d 'Show help information.'
complete -c 'tunnel-bridge' -n '__tunnel-bridge_should_offer_completions_for_positional "tunnel-bridge" -eq 1' -fa 'serve' -d 'Connect each stream of quic-listen to a server.'
complete -c 'tunnel-bridge' -n '__tunnel-bridge_should_offer_completions_for_positional "tunnel-bridge" -eq 1' -fa 'connect' -d 'Accept TCP connections and hand each to quic-dial.'
complete -c 'tunnel-bridge' -n '__tunnel-bridge_should_offer_completions_for_positional "tunnel-bridge" -eq 1' -fa 'proxy' -d 'Be an HTTP proxy that leads to homeservers by their keys.'
complete -c 'tunnel-bridge' -n '__tunnel-bridge_should_offer_completions_for_positional "tunnel-bridge" -eq 1' -fa 'help' -d 'Show subcommand help information.'
complete -c 'tunnel-bridge' -n '__tunnel-bridge_should_offer_completions_for_flags_or_options "tunnel-bridge serve" metrics' -l 'metrics' -d 'Write figures for Prometheus\' node exporter to this file, every 15 s and at SIGUSR1.' -rfka ''
complete -c 'tunnel-bridge' -n '__tunnel-bridge_should_offer_completions_for_flags_or_options "tunnel-bridge serve" log-format' -l 'log-format' -d 'How messages on standard error look.' -rfka 'text json'
complete -c 'tunnel-bridge' -n '__tunnel-bridge_should_offer_completions_for_flags_or_options "tunnel-bridge serve" v verbose' -l 'verbose' -s 'v' -d 'Say more on standard error.'
complete -c 'tunnel-bridge' -n '__tunnel-bridge_should_offer_completions_for_flags_or_options "tunnel-bridge serve" socket' -l 'socket' -d 'The Unix socket that quic-listen connects to; made with mode 0600.' -rfka ''
complete -c 'tunnel-bridge' -n '__tunnel-bridge_should_offer_completions_for_flags_or_options "tunnel-bridge serve"' -l 'to' -d 'The server to connect to, or the one for an application protocol; may be repeated. (default: each key\'s first permitopen)' -rfka ''
complete -c 'tunnel-bridge' -n '__tunnel-bridge_should_offer_completions_for_flags_or_options "tunnel-bridge serve" access' -l 'access' -d 'Who may connect, and what they may do: one key a line, options behind it. Read again when it changes. (default: anybody)' -rfka ''
complete -c 'tunnel-bridge' -n '__tunnel-bridge_should_offer_completions_for_flags_or_options "tunnel-bridge serve" http' -l 'http' -d 'The server takes plain HTTP: tell it in each request which key the client has proved, and nothing that the client says of itself.'
complete -c 'tunnel-bridge' -n '__tunnel-bridge_should_offer_completions_for_flags_or_options "tunnel-bridge serve" tls-to' -l 'tls-to' -d 'With --http: where streams go that begin with TLS, such as the homeserver\'s port 6287.' -rfka ''
complete -c 'tunnel-bridge' -n '__tunnel-bridge_should_offer_completions_for_flags_or_options "tunnel-bridge serve" proxy-protocol' -l 'proxy-protocol' -d 'Tell the server who comes, by a PROXY protocol header (version 2).'
complete -c 'tunnel-bridge' -n '__tunnel-bridge_should_offer_completions_for_flags_or_options "tunnel-bridge serve" version' -l 'version' -d 'Show the version.'
complete -c 'tunnel-bridge' -n '__tunnel-bridge_should_offer_completions_for_flags_or_options "tunnel-bridge serve" h help' -s 'h' -l 'help' -d 'Show help information.'
complete -c 'tunnel-bridge' -n '__tunnel-bridge_should_offer_completions_for_flags_or_options "tunnel-bridge connect" metrics' -l 'metrics' -d 'Write figures for Prometheus\' node exporter to this file, every 15 s and at SIGUSR1.' -rfka ''
complete -c 'tunnel-bridge' -n '__tunnel-bridge_should_offer_completions_for_flags_or_options "tunnel-bridge connect" log-format' -l 'log-format' -d 'How messages on standard error look.' -rfka 'text json'
complete -c 'tunnel-bridge' -n '__tunnel-bridge_should_offer_completions_for_flags_or_options "tunnel-bridge connect" v verbose' -l 'verbose' -s 'v' -d 'Say more on standard error.'
complete -c 'tunnel-bridge' -n '__tunnel-bridge_should_offer_completions_for_flags_or_options "tunnel-bridge connect" socket' -l 'socket' -d 'The Unix socket that quic-dial connects to; made with mode 0600.' -rfka ''
complete -c 'tunnel-bridge' -n '__tunnel-bridge_should_offer_completions_for_flags_or_options "tunnel-bridge connect" listen' -l 'listen' -d 'Where to listen; port 0 takes a free one.' -rfka ''
complete -c 'tunnel-bridge' -n '__tunnel-bridge_should_offer_completions_for_flags_or_options "tunnel-bridge connect" peer' -l 'peer' -d 'To whom the streams go, for a quic-dial that knows more than one peer.' -rfka ''
complete -c 'tunnel-bridge' -n '__tunnel-bridge_should_offer_completions_for_flags_or_options "tunnel-bridge connect" version' -l 'version' -d 'Show the version.'
complete -c 'tunnel-bridge' -n '__tunnel-bridge_should_offer_completions_for_flags_or_options "tunnel-bridge connect" h help' -s 'h' -l 'help' -d 'Show help information.'
complete -c 'tunnel-bridge' -n '__tunnel-bridge_should_offer_completions_for_flags_or_options "tunnel-bridge proxy" metrics' -l 'metrics' -d 'Write figures for Prometheus\' node exporter to this file, every 15 s and at SIGUSR1.' -rfka ''
complete -c 'tunnel-bridge' -n '__tunnel-bridge_should_offer_completions_for_flags_or_options "tunnel-bridge proxy" log-format' -l 'log-format' -d 'How messages on standard error look.' -rfka 'text json'
complete -c 'tunnel-bridge' -n '__tunnel-bridge_should_offer_completions_for_flags_or_options "tunnel-bridge proxy" v verbose' -l 'verbose' -s 'v' -d 'Say more on standard error.'
complete -c 'tunnel-bridge' -n '__tunnel-bridge_should_offer_completions_for_flags_or_options "tunnel-bridge proxy" socket' -l 'socket' -d 'The Unix socket that quic-dial connects to; made with mode 0600.' -rfka ''
complete -c 'tunnel-bridge' -n '__tunnel-bridge_should_offer_completions_for_flags_or_options "tunnel-bridge proxy" listen' -l 'listen' -d 'Where to listen, at a loopback address; port 0 takes a free one.' -rfka ''
complete -c 'tunnel-bridge' -n '__tunnel-bridge_should_offer_completions_for_flags_or_options "tunnel-bridge proxy" token-file' -l 'token-file' -d 'File with a token that clients have to give as password, readable by its owner only. (default: every client at this machine may)' -rfka ''
complete -c 'tunnel-bridge' -n '__tunnel-bridge_should_offer_completions_for_flags_or_options "tunnel-bridge proxy" forward-others' -l 'forward-others' -d 'Pass on requests for hosts that are no keys, as far as they are on the Internet. (default: refuse them)'
complete -c 'tunnel-bridge' -n '__tunnel-bridge_should_offer_completions_for_flags_or_options "tunnel-bridge proxy"' -l 'allow-origin' -d 'Pages of this origin may post forms and open WebSockets to all keys; may be repeated. (default: only to the key they came from)' -rfka ''
complete -c 'tunnel-bridge' -n '__tunnel-bridge_should_offer_completions_for_flags_or_options "tunnel-bridge proxy" require-key' -l 'require-key' -d 'Take nobody for a homeserver who does not prove to have its key: no domain with a certificate. (default: take them too)'
complete -c 'tunnel-bridge' -n '__tunnel-bridge_should_offer_completions_for_flags_or_options "tunnel-bridge proxy" allow-local' -l 'allow-local' -d 'Dial addresses of this machine and its networks that stand in packets. (default: refuse them)'
complete -c 'tunnel-bridge' -n '__tunnel-bridge_should_offer_completions_for_flags_or_options "tunnel-bridge proxy" authorities' -l 'authorities' -d 'PEM file with the certificates that vouch for domains. (default: the system\'s)' -rfka ''
complete -c 'tunnel-bridge' -n '__tunnel-bridge_should_offer_completions_for_flags_or_options "tunnel-bridge proxy" streams' -l 'streams' -d 'Print a stream line for each connection to a homeserver, and for each that did not come about.'
complete -c 'tunnel-bridge' -n '__tunnel-bridge_should_offer_completions_for_flags_or_options "tunnel-bridge proxy" timeout' -l 'timeout' -d 'Time after which a homeserver counts as unreachable.' -rfka ''
complete -c 'tunnel-bridge' -n '__tunnel-bridge_should_offer_completions_for_flags_or_options "tunnel-bridge proxy" answer-timeout' -l 'answer-timeout' -d 'Time for a homeserver to begin its answer.' -rfka ''
complete -c 'tunnel-bridge' -n '__tunnel-bridge_should_offer_completions_for_flags_or_options "tunnel-bridge proxy" max-connections' -l 'max-connections' -d 'Connections of clients at once.' -rfka ''
complete -c 'tunnel-bridge' -n '__tunnel-bridge_should_offer_completions_for_flags_or_options "tunnel-bridge proxy" version' -l 'version' -d 'Show the version.'
complete -c 'tunnel-bridge' -n '__tunnel-bridge_should_offer_completions_for_flags_or_options "tunnel-bridge proxy" h help' -s 'h' -l 'help' -d 'Show help information.'
complete -c 'tunnel-bridge' -n '__tunnel-bridge_should_offer_completions_for_flags_or_options "tunnel-bridge help" version' -l 'version' -d 'Show the version.'
