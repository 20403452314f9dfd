ours=./.wsrep_sst_backup
parked=$ours/apply.parked
patched=$ours/apply.patched
words=$ours/apply.words

fail() {
    printf 'apply: %s\n' "$1" >&2
    exit 1
}

flush() {
    sync 2>/dev/null || :
}

# Before anything is changed: is everything there that is needed?

check_moved() {
    [ -f "$2" ] || [ -f "$parked.$1" ] || fail "'$2' is missing: unpack the archive anew; nothing was changed"
    [ ! -d "$3" ] || fail "'$3' is a directory: unpack the archive anew; nothing was changed"
}

check_pages() {
    [ -f "$1" ] && [ -f "$1.runs" ] || fail "'$1' is missing: unpack the archive anew; nothing was changed"
    [ "$(($(wc -c <"$1")))" -eq "$3" ] || fail "'$1' has not $3 bytes: unpack the archive anew; nothing was changed"
}

check_placed() {
    [ -f "$1" ] || fail "'$1' is missing: unpack the archive anew; nothing was changed"
    [ ! -d "$2" ] || fail "'$2' is a directory: unpack the archive anew; nothing was changed"
}

# All moves are carried out at once: two files may have changed names.

park() {
    [ -f "$parked.$1" ] || mv -f "$2" "$parked.$1" || fail "cannot move '$2' away"
}

unpark() {
    [ ! -f "$parked.$1" ] || mv -f "$parked.$1" "$3" || fail "cannot move '$2' to '$3'"
}

remove() {
    rm -f "$1" || fail "cannot remove '$1'"
}

# One that holds something else stays.
remove_folder() {
    rmdir "$1" 2>/dev/null || :
}

# The runs of a page member, each with the largest block that fits.
patch() {
    [ -f "$2" ] || fail "'$2' is missing: unpack the archive anew"
    at=0
    while read -r offset length <&3; do
        bs=65536
        while [ "$(((offset | length | at) & (bs - 1)))" -ne 0 ]; do
            bs=$((bs / 2))
        done
        dd if="$1" of="$2" bs="$bs" skip="$((at / bs))" seek="$((offset / bs))" count="$((length / bs))" \
            conv=notrunc 2>"$words" || {
            cat "$words" >&2
            fail "cannot write to '$2'"
        }
        at=$((at + length))
    done 3<"$1.runs"
    [ "$at" -eq "$3" ] || fail "'$1.runs' is damaged: unpack the archive anew"
}

resize() {
    dd if=/dev/null of="$1" bs=1 seek="$2" count=0 2>"$words" || {
        cat "$words" >&2
        fail "cannot give '$1' its size, $2 bytes"
    }
}

place() {
    [ ! -f "$1" ] || mv -f "$1" "$2" || fail "cannot move '$1' to '$2'"
}

main() {
    case $0 in
    */*) cd -P -- "${0%/*}/.." || fail "cannot enter the data directory" ;;
    *) cd -P .. || fail "cannot enter the data directory" ;;
    esac
    if [ ! -f "$ours/apply" ] || [ ! -f ./wsrep_sst_backup.json ]; then
        fail "this is no unpacked backup; run it as: sh DATADIR/.wsrep_sst_backup/apply"
    fi
    # It may be run again wherever it was interrupted: each step finds out what is done.
    if [ ! -f "$patched" ]; then
        if [ ! -f "$parked" ]; then
            each_moved check_moved
            each_pages check_pages
            each_placed check_placed
            each_system check_placed
            each_moved park
            each_removed remove
            each_folder remove_folder
            flush
            : >"$parked" || fail "cannot write to '$ours'"
            flush
        fi
        each_moved unpark
        each_pages patch
        each_resized resize
        flush
        : >"$patched" || fail "cannot write to '$ours'"
        flush
    fi
    each_placed place
    flush
    # From here on a server can start.
    each_system place
    flush
    rm -rf "$ours/pages" "$ours/system" "$ours/files" "$words" ./SHA256SUMS || fail "cannot remove '$ours/pages'"
    rm -f "$ours/apply" "$parked" "$patched" || fail "cannot remove '$ours/apply'"
    rmdir "$ours" 2>/dev/null || :
    echo "apply: all files are in their places"
}

LC_ALL=C
export LC_ALL
unset CDPATH
main
