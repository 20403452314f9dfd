# shellcheck shell=bash
# A script that sources this first prints what stands at its own head, and does nothing else, where it is asked for that.
case ${1-} in
    -h | --help)
        sed -n '2,/^set /s/^# \{0,1\}//p' "$0"
        exit 0 ;;
esac
