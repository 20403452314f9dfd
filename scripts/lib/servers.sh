# shellcheck shell=bash
# Functions of scripts/test and scripts/servers: the servers of other versions that tests run on.

# Versions of the server, and the Debian that each comes with.
declare -A suites=([10.5]=bullseye [10.11]=bookworm [11.8]=trixie)
servers_known=(10.5 10.11 11.8)
# Its packages: the server, and what the tests of clusters need.
with_server=mariadb-server,galera-4,galera-arbitrator-4,rsync,iproute2,lsof,procps,zstd,bzip2,openssl,xfsprogs,mariadb-backup
# Where they are kept: outside of the checkout, so that every checkout of this machine has them.
servers_folder=${WSREP_TEST_SERVERS:-${XDG_CACHE_HOME:-$HOME/.cache}/wsrep_sst_backup/servers}

# Which of them is this machine's own: asked again when it was just installed.
find_own_server() {
    here=$(mariadbd --no-defaults --version 2>/dev/null | sed -nE 's/.*Ver ([0-9]+\.[0-9]+)\..*/\1/p')
}
find_own_server

# Those that it has not.
other_servers() {
    local server
    for server in "${servers_known[@]}"; do [ "$server" = "$here" ] || echo "$server"; done
}

# The root of a Debian with this server; nothing where it is the machine's own.
root_of() {
    [ "$1" = "$here" ] || echo "$servers_folder/$1"
}

# Makes it, where it is not there yet.
make_server() {
    local root
    root=$(root_of "$1")
    [ -n "$root" ] || return 0
    echo "server $1: the Debian in $root"
    scripts/debian-root "$root" "${suites[$1]}" "$with_server"
}

# Server and Galera, as they say it: "10.11.19-MariaDB, Galera 26.4.23".
version_of() {
    local root server galera
    root=$(root_of "$1")
    server=$(scripts/on-server "$root" mariadbd --no-defaults --version | sed -nE 's/.*Ver ([^ -]+-MariaDB).*/\1/p')
    galera=$(scripts/on-server "$root" dpkg-query -f '${Version}' -W galera-4 | sed -E 's/-.*//')
    echo "$server, Galera $galera"
}

# A list as it was given, as words; the others are what there is, and what a word besides `all` stands for.
words_of() {
    local kind=$1 list=$2 word known
    shift 2
    [ "$list" != all ] || { echo "$@"; return; }
    for word in ${list//,/ }; do
        for known in "$@" ''; do [ "$word" != "$known" ] || break; done
        [ -n "$known" ] || { echo "there is no $kind '$word': there are $*" >&2; return 1; }
        echo "$word"
    done
}
