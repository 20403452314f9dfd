# shellcheck shell=bash
# Functions of scripts/test: the test binaries are built, and several of them run at once.

jobs_limit=${TEST_JOBS:-$(($(nproc) + 1))}
threads=${TEST_THREADS:-2}
limit_seconds=${TEST_LIMIT:-3900}
flaky_limit=3
flaky_tests=()
log=$work/log
touch "$log"

# Those that take longest begin first, so that no long one is left alone at the end.
longest=(
    cluster_faults cluster_backup cluster_core donor_s3 cluster_layout donor_faults cluster_s3 cluster_partition runbooks cluster_turns
    cluster_freeze cli_backup package_systemd package_deb cluster_restore storage_s3 cluster_check cluster_timer cluster_versions innodb_oracle
)
# They measure what the program takes of time or memory: nothing runs beside them.
alone=(throttle donor_memory)

# Builds the tests that these arguments of cargo select; a line "NAME EXECUTABLE" for each of them comes into
# $work/binaries. NAME is that of the binary, `lib` or `main` for unit tests.
build_tests() {
    CARGO_TERM_COLOR=never cargo test --locked --no-run "$@" 2>&1 | tee "$work/build"
    [ "${PIPESTATUS[0]}" -eq 0 ] || return 1
    awk '
        $1 == "Executable" {
            path = substr($0, index($0, " (") + 2); sub(/\)$/, "", path)
            name = path; sub(/.*\//, "", name); sub(/-[0-9a-f]+$/, "", name)
            if ($2 == "unittests") name = $3 == "src/lib.rs" ? "lib" : "main"
            print name, path
        }
    ' "$work/build" >"$work/binaries"
    [ -s "$work/binaries" ]
}

# The lines of a file "NAME …" in the order in which they begin, those of $alone left out, or with `alone` only those.
in_order() {
    awk -v longest="${longest[*]}" -v alone="${alone[*]}" -v only="${2-}" '
        BEGIN {
            n = split(longest, list); for (i in list) rank[list[i]] = i
            split(alone, list, " "); for (i in list) is_alone[list[i]] = 1
        }
        ($1 in is_alone) == (only == "alone") { print ($1 in rank) ? rank[$1] : n + NR, $0 }
    ' "$1" | sort -n | cut -d' ' -f2-
}

declare -A running=() begun=()

# Starts one test binary in the background: its lines in the file of jobs are "NAME EXECUTABLE [SERVER [METHOD]]".
# timeout makes a process group of its own, so that at the limit, or at Ctrl-C, all of a binary's processes get the signal.
start_binary() {
    local job=$1 name executable server method
    shift
    read -r name executable server method <<<"$job"
    (
        [ -z "$method" ] || export WSREP_TEST_METHOD=$method
        echo "     Running $name ($executable)${server:+ on $server}${method:+ by $method}"
        exec timeout --kill-after=60 "$((limit_seconds > SECONDS ? limit_seconds - SECONDS : 1))" \
            scripts/on-server "$(root_of "${server:-$here}")" "$executable" --test-threads "$threads" "$@"
    ) >"$work/out.${job//[ \/]/_}" 2>&1 </dev/null &
    running[$!]=$job
    begun[$!]=$SECONDS
}

# Waits for one of them, prints what it has said, and keeps that for the summary; false when it has failed.
end_binary() {
    local pid='' status=0 job output
    wait -n -p pid "${!running[@]}" || status=$?
    [ -n "$pid" ] || return 0
    job=${running[$pid]}
    output=$work/out.${job//[ \/]/_}
    cat "$output"
    cat "$output" >>"$log"
    [ "$status" -ne 124 ] || echo "'${job%% *}' did not end within the limit of all tests"
    printf '%s: %d s\n\n' "${job%% *}" $((SECONDS - begun[$pid]))
    "$on_end" "$job" "$status" $((SECONDS - begun[$pid]))
    unset "running[$pid]" "begun[$pid]"
    [ "$status" -eq 0 ]
}

# What else is done with an outcome: a function that gets job, status and seconds.
on_end=:

# Runs the binaries of a file, several at a time, with these arguments of libtest.
run_tests() {
    local file=$1 job status=0
    shift
    trap 'kill -TERM "${!running[@]}" ${release-} 2>/dev/null; wait; exit 130' INT TERM
    while read -r job; do
        while [ ${#running[@]} -ge "$jobs_limit" ]; do end_binary || status=1; done
        start_binary "$job" "$@"
    done < <(in_order "$file")
    while [ ${#running[@]} -gt 0 ]; do end_binary || status=1; done
    [ -z "${release-}" ] || wait "$release"
    while read -r job; do
        start_binary "$job" "$@"
        end_binary || status=1
    done < <(in_order "$file" alone)
    trap - INT TERM
    return "$status"
}

# The same, and failed tests of real servers once more.
all_tests() {
    run_tests "$@" || again "$1"
}

# What the output says of test binaries: "failed BINARY TEST [SERVER]" for a test, "broken BINARY" for one that ended without a
# result (a signal, a process exit).
failures() {
    awk '
        function broken() { if (binary != "" && !result) print "broken", binary; }
        /^     Running / { broken(); binary = $2; server = $4 == "on" ? $5 : ""; result = 0; }
        /^test .* \.\.\. FAILED$/ { print "failed", binary, $2, server; }
        /^test result:/ { result = 1; }
        END { broken() }
    ' "$1"
}

# The reason of a failure, as libtest prints it behind the tests.
reason_of() {
    awk -v begin="---- $1 stdout ----" '
        $0 == begin { found = 1; next }
        found && /^---- / { exit }
        found && /^failures:$/ { exit }
        found && NF && lines++ < 12 { print "    " $0 }
    ' "$log"
}

# Runs the failed tests of real servers once more, one at a time; fails unless each passes now and they are few.
again() {
    local kind binary test server failed executable flaky=0
    failed=$(failures "$log")
    if [ -z "$failed" ] || [ "$(wc -l <<<"$failed")" -ge $flaky_limit ]; then
        return 1
    fi
    while read -r kind binary test server; do
        [ "$kind" = failed ] && [ "$binary" != lib ] && [ "$binary" != main ] || return 1
        executable=$(awk -v name="$binary" '$1 == name { print $2; exit }' "$1")
        echo
        echo "=== once more: $binary $test${server:+ on $server}"
        # Only a marked test runs here: of another one nothing runs, and "1 passed" is missing.
        timeout 10m scripts/on-server "$(root_of "${server:-$here}")" "$executable" --ignored --exact "$test" </dev/null >"$log.again" 2>&1
        cat "$log.again"
        grep -q '^test result: ok. 1 passed' "$log.again" || return 1
        flaky=$((flaky + 1))
        flaky_tests+=("$binary $test${server:+ on $server}")
    done <<<"$failed"
    [ "$flaky" -lt $flaky_limit ]
}

# "test result: ok. 9 passed; 0 failed; 0 ignored; …", one line for each test binary.
summary_of_tests() {
    local name
    awk '/^test result:/ { passed += $4; failed += $6; ignored += $8 }
         END { printf "tests: %d passed, %d failed, %d left out; ", passed, failed, ignored }' "$log"
    printf '%d min %d s in all\n' $((SECONDS / 60)) $((SECONDS % 60))
    grep -E '^test .* FAILED$' "$log" | sort -u
    for name in "${flaky_tests[@]}"; do
        echo "FLAKY: $name failed at first and passed by itself:"
        name=${name#* }
        reason_of "${name%% *}"
    done
}
