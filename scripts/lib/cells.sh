# shellcheck shell=bash
# Functions of scripts/test: tests of real servers by each method and on each server, one cell of the matrix at a time.

# Those that the setting `method` takes in this version; the first one is that of every test where nothing is said.
methods_known=(freeze snapshot precopy)
# By these the core runs in every run. Of snapshot cluster_snapshot and donor_clones are a part of it: all of its servers lie
# on an XFS that is mounted for it.
methods_of_core=(freeze)
first_method=${methods_known[0]}
core_groups=(cluster_backup cluster_restore)
# What of it runs on each server that is not this machine's own; it takes the methods one after the other by itself.
short_core=cluster_core
cells=target/test-cells.tsv
# What each server says of its version, with that of its Galera.
declare -A versions=()

# The commit that is tested; with a digest of what is changed beside it.
tested_commit() {
    local commit
    commit=$(git rev-parse --short=12 HEAD) || return 1
    if [ -n "$(git status --porcelain)" ]; then
        commit+=+$({ git diff HEAD && git ls-files -z --others --exclude-standard | xargs -0r cat; } | sha256sum | cut -c1-8)
    fi
    echo "$commit"
}

# What came of a cell on this commit the last time: passed, failed, or nothing.
outcome_of() {
    [ -e "$cells" ] || return 0
    awk -F'\t' -v cell="$commit/$1/$2/$3" '$2 "/" $3 "/" $4 "/" $5 == cell { last = $6 } END { print last }' "$cells"
}

# Why a cell does not apply: what is tested is refused by the program there (cluster_core sees to that). Nothing where it applies.
why_not() {
    local group=$1 server=$2 method=$3
    if [ "$method" = precopy ] || [ "$group" = cluster_precopy ]; then
        [ "$(printf '%s\n' 10.8 "$server" | sort -V | head -1)" = 10.8 ] || echo "does not apply: precopy needs MariaDB 10.8"
    fi
}

# Writes the cells that are to be run into $work/plan, "GROUP SERVER METHOD" each, and makes the servers that are missing.
plan_cells() {
    local chosen_methods chosen_servers chosen_groups group server method all_groups=()
    for group in tests/cluster_*.rs tests/cluster_*/main.rs; do
        group=${group%/main.rs} group=${group%.rs}
        [ ! -e "tests/${group##*/}.rs" ] && [ ! -e "tests/${group##*/}/main.rs" ] || all_groups+=("${group##*/}")
    done
    [ "$3" != core ] || set -- "$1" "$2" "$(IFS=,; echo "${core_groups[*]}")"
    chosen_methods=$(words_of method "$1" "${methods_known[@]}") || return 1
    chosen_servers=$(words_of server "$2" "${servers_known[@]}") || return 1
    chosen_groups=$(words_of group "$3" "${all_groups[@]}") || return 1
    commit=$(tested_commit) || return 1
    for server in $chosen_servers; do
        make_server "$server" || return 1
        versions[$server]=$(version_of "$server")
    done
    for server in $chosen_servers; do
        for method in $chosen_methods; do
            for group in $chosen_groups; do
                if [ "$group" = "$short_core" ]; then echo "$group $server"; else echo "$group $server $method"; fi
            done
        done
    done | sort -u >"$work/plan"
}

# The groups of the plan, as arguments of cargo.
planned_groups() {
    cut -d' ' -f1 "$work/plan" | sort -u | sed 's/^/--test=/'
}

# Runs the planned cells but those that do not apply or have passed on this commit, keeps what comes of them, and shows all.
run_cells() {
    local group server method executable why status=0
    on_end=keep_cell
    while read -r group server method; do
        why=$(why_not "$group" "$server" "$method")
        if [ -n "$why" ]; then
            keep_outcome "$group" "$server" "$method" "$why" 0
            continue
        fi
        if [ -z "$again" ] && [ "$(outcome_of "$server" "${method:-all}" "$group")" = passed ]; then
            echo "$group by ${method:-all} on $server has passed on $commit"
            continue
        fi
        executable=$(awk -v name="$group" '$1 == name { print $2 }' "$work/binaries")
        echo "$group $executable $server $method"
    done <"$work/plan" | tee >(grep ' has passed on ' >&2) | grep -v ' has passed on ' >"$work/cells"
    run_tests "$work/cells" --include-ignored || status=1
    while read -r group server method; do
        printf '%-7s  %-6s  %-16s  %s\n' "$(outcome_of "$server" "${method:-all}" "$group")" "$server" "${method:-all}" "$group"
    done <"$work/plan"
    return "$status"
}

# Keeps what came of a cell; a binary that was not run on a server by its name is none.
keep_cell() {
    local group executable server method outcome=failed
    read -r group executable server method <<<"$1"
    [ -n "$server" ] || return 0
    [ "$2" -ne 0 ] || outcome=passed
    keep_outcome "$group" "$server" "$method" "$outcome" "$3"
}

# Adds a line to $cells: group, server, method, outcome and seconds are given.
keep_outcome() {
    mkdir -p "$(dirname "$cells")"
    printf '%s\t' "$(date -u +%FT%TZ)" "$commit" "$2" "${3:-all}" "$1" "$4" "$5" >>"$cells"
    echo "${versions[$2]}" >>"$cells"
}

# Begins to make the servers that this machine has not itself, beside what is built meanwhile.
begin_other_servers() {
    (
        for server in $(other_servers); do make_server "$server" || exit 1; done
    ) >"$work/servers" 2>&1 &
    making=$!
}

# Waits for them; the short core then runs on each of them, and not on this machine's own server, on which everything else runs.
short_core_on_other_servers() {
    local server status=0 executable
    wait "$making" || status=$?
    cat "$work/servers"
    [ "$status" -eq 0 ] || return "$status"
    commit=$(tested_commit) || return 1
    executable=$(awk -v name="$short_core" '$1 == name { print $2 }' "$work/binaries")
    sed -i "/^$short_core /d" "$work/binaries"
    for server in $(other_servers); do
        versions[$server]=$(version_of "$server")
        echo "$server: ${versions[$server]}"
        echo "$short_core $executable $server" >>"$work/binaries"
    done
    on_end=keep_cell
}

# The core by each other method than the first, on the machine's own server.
run_other_methods() {
    local others=("${methods_of_core[@]:1}")
    [ ${#others[@]} -gt 0 ] || return 0
    again=1
    step "the cells" plan_cells "$(IFS=,; echo "${others[*]}")" "$here" core
    step "the core by the other methods" run_cells
}
