# Gives the server's user what it needs; an owner that somebody has chosen stays.
option_file=/etc/my.cnf.d/wsrep_sst_backup.cnf
repository=/var/backups/wsrep_sst_backup
if getent passwd mysql >/dev/null && getent group mysql >/dev/null; then
    if [ -e "$option_file" ] && [ "$(stat -c %U:%G "$option_file")" = root:root ]; then
        chgrp mysql "$option_file"
    fi
    if [ ! -e "$repository" ]; then
        mkdir -p -m 0755 "${repository%/*}"
        install -d -o mysql -g mysql -m 0750 "$repository"
    fi
fi
