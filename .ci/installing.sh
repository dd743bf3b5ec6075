# Functions of .ci/run: what the tests need and this machine may lack. Each says what it could not do, and goes on.

apt_install() {
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        echo "Not installed, for that takes root and apt: $*" >&2
        return 1
    fi
    (apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@") \
        >"$scratch/apt.log" 2>&1 && return
    tail -5 "$scratch/apt.log" >&2
    echo "apt cannot install: $*" >&2
    return 1
}

postgresql_bin() {
    local found
    found=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -1)
    [ -n "$found" ] || found=$(dirname "$(command -v initdb)" 2>/dev/null)
    [ -x "$found/initdb" ] && echo "$found"
}

as_postgres() { # PostgreSQL refuses to run as root
    if [ "$(id -u)" = 0 ]; then (cd "$scratch" && runuser -u postgres -- "$@"); else "$@"; fi
}

start_postgresql() { # a cluster that lasts as long as this script; the tests learn of it by its address
    [ -z "${FACEID_TEST_DATABASE_URL:-}" ] || return 0
    local bin port folder=$scratch/postgresql
    if ! postgresql_bin >/dev/null; then
        mkdir -p /etc/postgresql-common 2>/dev/null &&  # no cluster of Debian's own beside it
            echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.conf || true
        apt_install postgresql || true
    fi
    if ! bin=$(postgresql_bin); then
        echo "There is no PostgreSQL: the tests of it are skipped." >&2
        return 0
    fi
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    chmod 711 "$scratch"
    mkdir "$folder"
    [ "$(id -u)" != 0 ] || chown postgres "$folder"
    if as_postgres "$bin/initdb" -D "$folder/data" -U faceid -A trust >"$scratch/postgresql.log" 2>&1 &&
        as_postgres "$bin/pg_ctl" -D "$folder/data" -w -l "$folder/log" \
            -o "-p $port -k $folder -c listen_addresses=127.0.0.1 -c fsync=off" start >>"$scratch/postgresql.log" 2>&1
    then
        export FACEID_TEST_DATABASE_URL="postgresql+psycopg://faceid@127.0.0.1:$port/postgres"
        echo "PostgreSQL for the tests: $("$bin/postgres" --version), port $port"
    else
        cat "$scratch/postgresql.log" "$folder/log" >&2 || true
        echo "PostgreSQL does not start: the tests of it are skipped." >&2
    fi
}

stop_postgresql() {
    [ -d "$scratch/postgresql/data" ] || return 0
    as_postgres "$(postgresql_bin)/pg_ctl" -D "$scratch/postgresql/data" -m immediate stop >/dev/null 2>&1 || true
}

prepare_comfyui() { # where there is one with an interpreter of its own: what tests/inside and the nodes import there
    local folder python
    folder=${COMFYUI_PATH:-$HOME/comfy/ComfyUI}
    for python in "$folder/.venv/bin/python" "$folder/venv/bin/python"; do
        [ -x "$python" ] || continue
        "$python" -c "import accelerate, diffusers, insightface, pytest, skimage, spandrel_extra_arches" 2>/dev/null && return
        "$python" -m pip install -q -r requirements.txt accelerate diffusers pytest spandrel_extra_arches &&
            "$python" install.py || echo "ComfyUI's Python lacks packages that some tests need." >&2
        return 0
    done
}
