# shellcheck shell=bash
# Functions of scripts/package: the OCI image, without a tool for images: one layer of few files, and the documents about it.
# What the documents have to say: https://github.com/opencontainers/image-spec (v1.0).

# What the image has of Debian's packages on this machine. `install` copies the program into the volume of a pod.
programs_of_image=(/usr/bin/garbd /usr/bin/install)
# Who runs in it where nobody says otherwise; no file has to know it. Debian's images of MariaDB have their server's user under it.
user_of_image=999:999

# The file of a shared library or a loader, by the names of all symbolic links: the path that the image has it at, too.
real_path() { realpath -e -- "$1"; }

# The Debian package that a file comes from. dpkg knows some of them by the name without /usr in front.
package_of() {
    { dpkg-query -S "$1" || dpkg-query -S "${1#/usr}"; } 2>/dev/null | head -n 1 | cut -d: -f1
}

# Programs and all that they load, one path a line: the dynamic loader itself, and what it finds.
with_libraries() {
    local program
    for program in "$@"; do
        echo "$program"
        ldd "$program" | awk '$2 == "=>" { print $3 } $1 ~ /^\// && $2 ~ /^\(/ { print $1 }'
    done | sort -u
}

# Copies them to a root, each under the name by which it is loaded, and says what the packages are, as scanners of images read it.
add_programs() {
    local root=$1 file package packages=()
    ln -s usr/bin "$root/bin"
    ln -s usr/lib "$root/lib"
    ln -s usr/lib64 "$root/lib64"
    while read -r file; do
        package=$(package_of "$(real_path "$file")")
        [ -n "$package" ] || fail "'$file' is of no Debian package: the image has nothing else"
        packages+=("$package")
        case $file in /usr/*) ;; *) file=/usr$file ;; esac
        install -D -m "$(stat -L -c %a "$file")" "$file" "$root$file"
    done < <(with_libraries "${programs_of_image[@]}")
    mapfile -t packages < <(printf '%s\n' "${packages[@]}" ca-certificates | sort -u)
    for package in "${packages[@]}"; do
        mkdir -p "$root/var/lib/dpkg/status.d"
        dpkg-query -s "$package" >"$root/var/lib/dpkg/status.d/$package"
        install -D -m 0644 "/usr/share/doc/$package/copyright" "$root/usr/share/doc/$package/copyright"
    done
}

# The authorities of the package, none that somebody has added to this machine.
add_authorities() {
    local folder=/usr/share/ca-certificates/mozilla
    mkdir -p "$1/etc/ssl/certs"
    cat "$folder"/*.crt >"$1/etc/ssl/certs/ca-certificates.crt"
}

# A blob of the layout by its digest; prints "sha256:DIGEST" and its size.
add_blob() {
    local file=$1 blobs=$2/blobs/sha256 digest
    digest=$(sha256sum "$file" | cut -d' ' -f1)
    mkdir -p "$blobs"
    mv "$file" "$blobs/$digest"
    echo "sha256:$digest $(stat -c %s "$blobs/$digest")"
}

# A tar of what lies in a folder that is the same for the same files.
plain_tar() {
    (cd "$1" && tar --format=gnu --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" -cf - -- *)
}

# Writes the layout of an image that has this root: blobs, index.json, oci-layout.
write_layout() {
    local root=$1 layout=$2 level=-9 created layer config manifest diff_id
    ! $quick || level=-1
    created=$(date -u -d "@$SOURCE_DATE_EPOCH" +%FT%TZ)
    mkdir -p "$layout"
    plain_tar "$root" >"$layout/layer"
    diff_id=$(sha256sum "$layout/layer" | cut -d' ' -f1)
    gzip -n "$level" "$layout/layer"
    read -r -a layer < <(add_blob "$layout/layer.gz" "$layout")
    cat >"$layout/config" <<END
{"created":"$created","architecture":"$deb_arch","os":"linux",
"config":{"User":"$user_of_image","Env":["PATH=/tool:/usr/bin:/bin"],"Entrypoint":["/tool/wsrep_sst_backup"],"Cmd":["--help"],"WorkingDir":"/tmp",
"Labels":{"org.opencontainers.image.title":"wsrep_sst_backup","org.opencontainers.image.version":"$version","org.opencontainers.image.licenses":"MIT"}},
"rootfs":{"type":"layers","diff_ids":["sha256:$diff_id"]},
"history":[{"created":"$created","created_by":"scripts/package"}]}
END
    read -r -a config < <(add_blob "$layout/config" "$layout")
    cat >"$layout/manifest" <<END
{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",
"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"${config[0]}","size":${config[1]}},
"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"${layer[0]}","size":${layer[1]}}]}
END
    read -r -a manifest < <(add_blob "$layout/manifest" "$layout")
    cat >"$layout/index.json" <<END
{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json",
"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"${manifest[0]}","size":${manifest[1]},
"platform":{"architecture":"$deb_arch","os":"linux"},
"annotations":{"org.opencontainers.image.ref.name":"$version","io.containerd.image.name":"localhost/wsrep_sst_backup:$version"}}]}
END
    echo '{"imageLayoutVersion":"1.0.0"}' >"$layout/oci-layout"
}

# The image as one file, which podman, skopeo, containerd and Docker load.
build_oci() {
    local root=$work/oci layout=$work/layout folder
    stage oci "$root"
    add_programs "$root"
    add_authorities "$root"
    # Mount points, and the room that a program without any other has.
    for folder in dev proc sys run etc/mysql mnt var/backups/wsrep_sst_backup; do mkdir -p "$root/$folder"; done
    find "$root" -type d -exec chmod 0755 {} +
    mkdir -m 1777 "$root/tmp"
    write_layout "$root" "$layout"
    plain_tar "$layout" >"$output/${name}_$version-${release}_$deb_arch.oci.tar"
}
