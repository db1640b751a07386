# Sourced by the other scripts: makes an environment and installs this checkout into it.
# usage: install_into FOLDER EXTRAS   (EXTRAS such as "" or "[test,simulate]")

say() { printf '== %s\n' "$*"; }
fail() { printf 'error: %s\n' "$*" >&2; exit 1; }

find_python() {
    local name
    for name in python3.13 python3.12 python3.11 python3; do
        if command -v "$name" >/dev/null && "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$name"
            return
        fi
    done
    fail "Python 3.11 or later is needed; on Debian: apt install python3 python3-venv"
}

apt_install() {  # true if the packages could be installed
    command -v apt-get >/dev/null || return 1
    local root=""
    if [ "$(id -u)" -ne 0 ]; then
        sudo -n true 2>/dev/null || return 1
        root="sudo -n"
    fi
    say "installing $* with apt"
    $root apt-get update -qq && DEBIAN_FRONTEND=noninteractive $root apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

installed_in() {  # true if FOLDER holds what pyproject.toml asks for now, with EXTRAS at least
    [ -x "$1/bin/imo" ] && case "$(cat "$1/installed" 2>/dev/null)" in
        "$(cksum <pyproject.toml) $2"*) ;;
        *) false ;;
    esac
}

install_into() {
    local folder=$1 extras=$2 python
    installed_in "$folder" "$extras" && return
    if [ ! -x "$folder/bin/python" ]; then
        python=$(find_python)
        say "making $folder with $("$python" --version)"
        "$python" -m venv "$folder" 2>/dev/null || { apt_install python3-venv && "$python" -m venv --clear "$folder"; } ||
            fail "$python has no venv module; on Debian: apt install python3-venv"
    fi
    say "installing IMO Explorer$extras and what it needs into $folder (a few minutes the first time)"
    "$folder/bin/python" -m pip install --quiet --disable-pip-version-check -e ".$extras" ||
        fail "pip could not install the packages"
    printf '%s' "$(cksum <pyproject.toml) $extras" >"$folder/installed"
}
