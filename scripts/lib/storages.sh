# shellcheck shell=bash
# Functions of scripts/test and scripts/storages: the S3 servers that people run, for tests.

# The package that their version is that of. moto is where scripts/install-deps puts it, and s3s-fs is in the tests; the others run in a
# small Debian of their own.
declare -A package_of_storage=([swift]=swift-proxy [ceph]=radosgw)
declare -A packages_of_storage=(
    [swift]=swift-proxy,swift-account,swift-container,swift-object,swift,memcached
    [ceph]=radosgw,ceph-mon,ceph-osd,ceph-common
)
declare -A title_of_storage=([moto]=moto [s3s-fs]=s3s-fs [swift]="OpenStack Swift, s3api" [ceph]="Ceph RGW")
storages_known=(moto s3s-fs swift ceph)
# Where they are kept: outside of the checkout, so that every checkout of this machine has them.
storages_folder=${WSREP_TEST_STORAGES:-${XDG_CACHE_HOME:-$HOME/.cache}/wsrep_sst_backup/storages}
python_of_moto=target/moto/bin/python3

# Makes the Debian of a storage, where it is not there yet.
make_storage() {
    [ -n "${package_of_storage[$1]-}" ] || return 0
    echo "storage $1: the Debian in $storages_folder/$1"
    scripts/debian-root "$storages_folder/$1" bookworm "${packages_of_storage[$1]}"
}

# "Ceph RGW 16.2.15".
version_of_storage() {
    local version
    case $1 in
        moto) version=$("$python_of_moto" -c 'import moto; print(moto.__version__)') ;;
        s3s-fs) version=$(sed -n '/^name = "s3s-fs"/{n;s/.*"\(.*\)"/\1/p}' Cargo.lock) ;;
        *) version=$(chroot "$storages_folder/$1" dpkg-query -f '${Version}' -W "${package_of_storage[$1]}" | sed -E 's/[+-].*//; s/^[0-9]+://') ;;
    esac
    echo "${title_of_storage[$1]} $version"
}

# Makes the bucket, as soon as the server answers: 180 s at most.
make_bucket() {
    "$python_of_moto" -c '
import os, time
import boto3, botocore.config
settings = botocore.config.Config(retries={"max_attempts": 0}, connect_timeout=2, s3={"addressing_style": "path"})
client = boto3.client("s3", endpoint_url=os.environ["WSREP_TEST_S3_ENDPOINT"], region_name="us-east-1", config=settings,
                      aws_access_key_id=os.environ["WSREP_TEST_S3_ACCESS_KEY_ID"],
                      aws_secret_access_key=os.environ["WSREP_TEST_S3_SECRET_ACCESS_KEY"])
end = time.monotonic() + 180
while True:
    try:
        client.create_bucket(Bucket="bucket")
        break
    except Exception as error:
        if time.monotonic() > end:
            raise SystemExit(f"no bucket: {error}")
        time.sleep(0.3)
'
}

# Runs a command while a storage serves, which it finds in WSREP_TEST_S3_…; all of the storage ends with it. Two of them are
# started by the tests themselves.
with_storage() (
    storage=$1 server='' status=0
    shift
    [ -n "${package_of_storage[$storage]-}" ] || WSREP_TEST_STORAGE=$storage exec "$@"
    folder=$(mktemp -d /tmp/wsb-storage-XXXXXX)
    # The kernel ends every process of a namespace with its first one, and only then `unshare` itself ends.
    trap '[ -z "$server" ] || { kill -KILL $(cat "/proc/$server/task/$server/children"); wait "$server" || true; } 2>/dev/null; rm -rf "$folder"' EXIT
    port=$((20000 + RANDOM % 10000))
    unshare --pid --mount-proc --fork --kill-child scripts/on-server "$storages_folder/$storage" \
        "scripts/lib/storage-$storage" "$folder" "$port" >"$folder/log" 2>&1 </dev/null &
    server=$!
    export WSREP_TEST_S3_ENDPOINT=http://127.0.0.1:$port
    # Those of Swift have an account in their name.
    export WSREP_TEST_S3_ACCESS_KEY_ID=test:tester WSREP_TEST_S3_SECRET_ACCESS_KEY=secret-of-tests
    [ "$storage" != swift ] || export WSREP_TEST_S3_MAX_PARTS=1000
    make_bucket || { tail -n 30 "$folder/log" | cut -c1-300 >&2; exit 1; }
    "$@" || status=$?
    [ "$status" -eq 0 ] || tail -n 30 "$folder/log" | cut -c1-300 >&2
    exit "$status"
)

# What came of each test on each storage, a line for each run: date, commit, storage, test, outcome, version.
storage_results=target/test-storages.tsv

# Runs the tests of storages on each of a list, and keeps what comes of them.
run_storages() {
    local chosen storage executable version status=0
    chosen=$(words_of storage "$1" "${storages_known[@]}") || return 1
    commit=$(tested_commit) || return 1
    executable=$(awk '$1 == "storage_real" { print $2 }' "$work/binaries")
    for storage in $chosen; do
        make_storage "$storage" || return 1
        version=$(version_of_storage "$storage")
        printf '\n%s\n' "$version"
        with_storage "$storage" "$executable" --include-ignored --test-threads "$threads" | tee "$work/storage" || status=1
        cat "$work/storage" >>"$log"
        sed -nE 's/^test ([a-z_]+) \.\.\. (ok|FAILED)$/\1 \2/p' "$work/storage" | while read -r test outcome; do
            printf '%s\t' "$(date -u +%FT%TZ)" "$commit" "$storage" "$test" "$outcome"
            echo "$version"
        done >>"$storage_results"
    done
    return "$status"
}
