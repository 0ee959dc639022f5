#!/bin/sh
# What the scripts share: messages, configuration files, the life of stages. Not run by itself.
# shellcheck disable=SC2034 # the variables are for those scripts

program=${0##*/}
newline='
'
# Lists are kept one value a line; nothing else is ever split, and nothing is a pattern.
IFS=$newline
set -f

# Into the journal, a line begins with its priority (sd-daemon(3)).
priority=''
[ -z "${JOURNAL_STREAM-}" ] || [ "$JOURNAL_STREAM" != "$(stat -L -c %d:%i "/proc/$$/fd/2" 2>/dev/null)" ] || priority='<3>'

# fail STATUS MESSAGE
fail() {
    printf '%s%s: %s\n' "$priority" "$program" "$2" >&2
    exit "$1"
}

# The configuration file: NAME=VALUE lines. Blanks around both and one pair of quotes around the value are dropped, lines that begin
# with # are comments. It is data: nothing in it is run or expanded.

config_file=
config_line=0

# Ends with the place of what is wrong.
config_error() {
    [ "$config_line" -eq 0 ] || fail 78 "$config_file, line $config_line: $1"
    fail 78 "$config_file: $1"
}

# Prints the text without blanks around it.
trim() {
    text=${1#"${1%%[![:space:]]*}"}
    printf '%s' "${text%"${text##*[![:space:]]}"}"
}

settings_seen=' ' settings_named=' '

# read_config FILE: calls setting NAME VALUE for each line; that is the script's, and says config_error to what it does not know.
read_config() {
    config_file=$1
    is_readable "$1" || fail 78 "$1: no such configuration file, or it can't be read"
    while IFS= read -r line || [ -n "$line" ]; do
        config_line=$((config_line + 1))
        line=$(trim "$line")
        case $line in
            '' | '#'*) continue ;;
            *=*) ;;
            *) config_error "expected NAME=VALUE" ;;
        esac
        name=$(trim "${line%%=*}")
        value=$(trim "${line#*=}")
        case $value in
            \"*\") value=${value#\"} value=${value%\"} ;;
            \'*\') value=${value#\'} value=${value%\'} ;;
        esac
        [ -n "$value" ] || config_error "$name has no value"
        settings_named="$settings_named$name "
        setting "$name" "$value"
    done <"$1"
    config_line=0
}

# once NAME: for settings that may stand there only once.
once() {
    case $settings_seen in
        *" $1 "*) config_error "$1 is given twice" ;;
    esac
    settings_seen="$settings_seen$1 "
}

check_duration() {
    number=${2%%[!0-9]*}
    case $number/${2#"$number"} in
        /* | ??????????*/*) ;;
        */ms | */s | */m | */h | */d) return ;;
    esac
    config_error "$1=$2: expected a duration such as 30s, 5m or 1h"
}

check_address() {
    port=${2##*:}
    case $2 in
        ?*:*) ;;
        *) port= ;;
    esac
    case $port in
        '' | *[!0-9]* | ??????*) config_error "$1=$2: expected HOST:PORT" ;;
    esac
}

is_readable() { [ -f "$1" ] && [ -r "$1" ]; }

check_file() { is_readable "$2" || config_error "$1=$2: no such file, or it can't be read"; }

check_yes_no() {
    case $2 in
        yes | no) ;;
        *) config_error "$1=$2: expected yes or no" ;;
    esac
}

# Where packets are published and looked for; the same settings in both configurations. Returns 1 for other names.
relays='' use_relays=yes bootstraps='' use_dht=yes use_testnet=no
network_setting() {
    case $1 in
        relay) relays=$relays$2$newline ;;
        relays) once "$1" && check_yes_no "$1" "$2" && use_relays=$2 ;;
        bootstrap) check_address "$1" "$2" && bootstraps=$bootstraps$2$newline ;;
        dht) once "$1" && check_yes_no "$1" "$2" && use_dht=$2 ;;
        testnet) once "$1" && check_yes_no "$1" "$2" && use_testnet=$2 ;;
        *) return 1 ;;
    esac
}

# Prints the options of pkarr-publish and pkarr-resolve, one word a line.
network_options() {
    [ "$use_relays" = yes ] || echo --no-relays
    [ "$use_dht" = yes ] || echo --no-dht
    [ "$use_testnet" = no ] || echo --testnet
    for value in $relays; do printf '%s\n' --relay "$value"; done
    for value in $bootstraps; do printf '%s\n' --bootstrap "$value"; done
}

# Prints where pkarr-serve enters the DHT when nothing is configured, one a line; nothing when PKARR_BOOTSTRAP says it.
default_bootstraps() {
    [ "$use_testnet" = no ] || { echo localhost:6881 && return; }
    [ -n "${PKARR_BOOTSTRAP+set}" ] || printf '%s\n' router.bittorrent.com:6881 dht.libtorrent.org:25401 relay.pkarr.org:6881
}

# state_directory WHAT: puts where to remember between runs into $state; WHAT would have said it.
state_directory() {
    # systemd separates several with colons.
    state=${STATE_DIRECTORY-}
    state=${state%%:*}
    [ -z "$state" ] || return 0
    state=${XDG_STATE_HOME:-${HOME:+$HOME/.local/state}}
    [ -n "$state" ] || fail 78 "$1 is missing, and neither XDG_STATE_HOME nor HOME is set"
    state=$state/keyhole
}

# public_key_of KEYFILE OPTION...: puts the public key into $public_key. A packet of no use to anybody shows it, and that the key file and
# the records that the options name are good, before anything starts.
public_key_of() {
    key_file=$1
    shift
    packet=$(echo '{"records":[]}' | STATE_DIRECTORY='' pkarr-build --key "$key_file" "$@" --at 1) || exit
    public_key=$(printf '%s\n' "$packet" | sed -n 's/.*"public_key":"\([a-z0-9]*\)".*/\1/p')
}

# Makes a folder that goes away with this script, $run.
make_folder() {
    run=$(mktemp -d "${XDG_RUNTIME_DIR:-${TMPDIR:-/tmp}}/keyhole.XXXXXX") || fail 78 "can't make a folder for sockets"
    trap 'rm -rf "$run"' EXIT
}

# Stages: commands that run side by side. Each holds the writing end of a pipe of its own, which closes with the process however that
# ends; somebody reads the other end and tells. So nothing is polled, and the process id is the command's own.

stages=''

# Makes the folder for pipes and sockets, and the pipe that events come through, descriptor 9.
open_stages() {
    make_folder
    mkfifo "$run/events"
    exec 9<>"$run/events"
    # A signal is an event like others.
    trap 'echo signal >&9' TERM INT HUP
    trap ask_stages USR1
}

# Has those stages that can tell say on standard error what is going on.
ask_stages() {
    for entry in $stages; do
        case ${entry%%=*} in
            quic-listen | quic-dial | tunnel-bridge | pkarr-publish | pkarr-serve) kill -USR1 "${entry#*=}" 2>/dev/null || : ;;
        esac
    done
}

# stage NAME INPUT OUTPUT COMMAND...: starts a command. OUTPUT - is this script's own.
stage() {
    name=$1 input=$2 output=$3
    shift 3
    mkfifo "$run/life.$name"
    # Both ends are open before anybody has one: a stage that is told to end before it has begun would else leave a reader behind that waits
    # for it for ever. Opened both ways at first, since opening one end waits for the other.
    exec 5<>"$run/life.$name"
    exec 3<"$run/life.$name"
    exec 4>"$run/life.$name" 5<&-
    # What is ignored here stays so in the stage, until it asks for the signal itself.
    trap '' USR1
    (
        trap - TERM INT HUP EXIT
        read -r nothing <&3 || :
        echo "$name" >&9
    ) 4>&- &
    if [ "$output" = - ]; then
        "$@" <"$input" 3<&- 9>&- &
    else
        "$@" <"$input" >"$output" 3<&- 9>&- &
    fi
    exec 3<&- 4>&-
    trap ask_stages USR1
    # Newest first: those that use others end before them.
    stages="$name=$!$newline$stages"
}

# The service manager (sd_notify(3)) hears from one stage only: that all can be reached, and that it goes on.
notify_socket=${NOTIFY_SOCKET-}
unset NOTIFY_SOCKET

# spokesman COMMAND...: is that stage.
# shellcheck disable=SC2317 # it is started as a stage
spokesman() {
    # The time for the watchdog is meant for this script, of which nothing is left to tell it.
    unset WATCHDOG_PID
    [ -z "$notify_socket" ] || export NOTIFY_SOCKET="$notify_socket"
    exec "$@"
}

# Puts the first line of a stage into $line; fails when it has ended without one.
# first_line FIFO
first_line() { read -r line <"$1"; }

# Waits until a stage ends or a signal comes. Puts the stage's name into $event and its exit status into $status, or "signal" and 0.
next_event() {
    # A signal that comes while reading ends the read, and its event is there to be read then.
    until read -r event <&9; do :; done
    status=0 left=''
    for entry in $stages; do
        if [ "${entry%%=*}" = "$event" ]; then wait "${entry#*=}" || status=$?; else left=$left$entry$newline; fi
    done
    stages=$left
}

# Ends all stages and waits for them. Puts one that did not end because of this, if any, into $culprit as NAME/STATUS.
stop_stages() {
    trap '' TERM INT HUP
    culprit=''
    for entry in $stages; do kill "${entry#*=}" 2>/dev/null || :; done
    # A stage that was forked just before is still a copy of this shell, with its trap, which swallows the signal; it has to be told again.
    # The time is more than any takes to end.
    (
        trap - TERM
        while sleep 5; do
            for entry in $stages; do kill "${entry#*=}" 2>/dev/null || :; done
        done
    ) >/dev/null 2>&1 9>&- &
    reminder=$!
    for entry in $stages; do
        code=0
        wait "${entry#*=}" || code=$?
        # Told to end, a stage does so with 0, or by the signal when it has only just begun.
        case $code in
            0 | 143) ;;
            *) culprit=${entry%%=*}/$code ;;
        esac
    done
    # A copy that has yet to take its trap off would swallow any other signal, and outlive us.
    kill -KILL "$reminder" 2>/dev/null || :
}
