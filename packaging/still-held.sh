# A backup by 'run' that is under way, or one that was killed and has left a snapshot or a node out of flow control: only this program puts that right.
refuse_while_held() {
    if [ -d "${DPKG_ROOT:-}/run/systemd/system" ]; then
        # It ends within seconds; one that waits for a queue to drain is waited for no longer than this.
        timeout 120 systemctl stop wsrep-sst-backup-run.service >/dev/null 2>&1 || :
    fi
    for folder in /run/wsrep_sst_backup /run/mysqld /var/lib/mysql; do
        for note in "${DPKG_ROOT:-}$folder"/*.snapshot.lock "${DPKG_ROOT:-}$folder"/*.desync.lock; do
            if [ -e "$note" ]; then
                echo "wsrep-sst-backup: '$note' says that a backup has a snapshot of this server, or keeps it out of flow control." \
                    "Wait for its end; what a killed one has left is ended by 'wsrep-sst-backup check'. The package was not removed" >&2
                exit 1
            fi
        done
    done
}
