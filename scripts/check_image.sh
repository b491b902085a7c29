#!/usr/bin/env bash
# Builds the unchanged Dockerfile and runs the image as compose.yaml would, without a container engine.
#
#   sudo scripts/check_image.sh [DATA]     DATA: folder with train.txt, valid.txt and test.txt; default: data
#
# Needs root, buildah, debootstrap, jq, iproute2 and curl. The base is a bare Debian 12 with its own Python 3.11
# under the official image's name, so the recipe is checked, not the official image.
#   MOUNTS="/etc/pip.conf ..."   host paths that the build may read: they are mounted, never copied
#   BASE=DIR                     where the base is kept between runs
#   EXTRAS=neural                the build argument
#   MIRROR=URL                   Debian mirror of the base
set -euo pipefail
cd "$(dirname "$0")/.."

data=$(realpath "${1:-data}")
work=$(mktemp -d)
base=${BASE:-$work/base}
stand_in=docker.io/library/python:3.11-slim-bookworm
image=localhost/rankwright:check
failures=0
process=

cleanup() {
    [[ -z $process ]] || kill -KILL "$process" 2>/dev/null || true
    rm -rf --one-file-system "$work"
}
trap cleanup EXIT

store() { buildah --root "$work/store" --runroot "$work/run" --storage-driver vfs "$@"; }

check() { # NAME EXPECTED FOUND
    if [[ $2 == "$3" ]]; then
        printf 'ok      %s\n' "$1"
    else
        printf 'FAILED  %s\n        expected: %s\n        found:    %s\n' "$1" "$2" "$3"
        failures=$((failures + 1))
    fi
}

build() {
    local container started path mounts=()
    if [[ ! -x $base/usr/bin/python3 ]]; then
        debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates \
            bookworm "$base" ${MIRROR:+"$MIRROR"} >"$work/base.log" || { tail "$work/base.log"; return 1; }
    fi
    tar -C "$base" --exclude='./dev/*' --exclude='./proc/*' --exclude='./sys/*' -cf "$work/base.tar" .
    container=$(store from scratch)
    store add -q "$container" "$work/base.tar" / >/dev/null
    store config --cmd python3 "$container"
    store commit -q "$container" "$stand_in" >/dev/null
    store rm "$container" >/dev/null
    rm "$work/base.tar"
    for path in ${MOUNTS:-}; do mounts+=(-v "$path:$path:ro"); done
    started=$SECONDS
    # Layers would be written out in full by this storage driver; HEALTHCHECK is lost in any other format.
    store bud --pull-never --isolation chroot --format docker --build-arg "EXTRAS=${EXTRAS:-}" "${mounts[@]}" \
        -t "$image" . >"$work/build.log" 2>&1 || { tail -n 30 "$work/build.log"; return 1; }
    echo "built in $((SECONDS - started)) s"
    store images
}

# What the image says of itself, and its files, where the functions below find them.
open_image() {
    store inspect --type image "$image" | jq '.Docker.config' >"$work/config.json"
    root=$(store mount "$(store from --pull-never "$image")")
    mapfile -t environment < <(jq -r '.Env[]' "$work/config.json")
    mapfile -t entrypoint < <(jq -r '.Entrypoint[]' "$work/config.json")
    mapfile -t default_command < <(jq -r '.Cmd[]' "$work/config.json")
    mapfile -t health < <(jq -r '.Healthcheck.Test[1:][]' "$work/config.json")
    user=$(jq -r '.User' "$work/config.json")
    mkdir -p "$work/registry" "$work/out" "$root/models" "$root/data" "$root/out" "$root/sys/fs/cgroup"
    chown "$user" "$work/registry" "$work/out"
}

# Read-only root, tmpfs /tmp, no capabilities, no new privileges, PID 1, a network of its own, half a CPU by
# its cgroup file: with the image's user and environment. Models are writable only for `write=1`.
contain() { # COMMAND...
    # shellcheck disable=SC2016  # expanded by the inner shell
    unshare --mount --pid --net --ipc --uts --fork --kill-child bash -euc '
        root=$1 work=$2 data=$3 user=$4 write=$5; shift 5
        ip link set lo up
        mount --bind "$root" "$root"
        mount --bind "$data" "$root/data"; mount -o remount,bind,ro "$root/data"
        mount --bind "$work/registry" "$root/models"
        [[ $write == 1 ]] || mount -o remount,bind,ro "$root/models"
        mount --bind "$work/out" "$root/out"
        mount -t proc proc "$root/proc"
        mount -t tmpfs -o mode=755 devices "$root/dev"
        for device in null zero random urandom; do
            touch "$root/dev/$device"; mount --bind "/dev/$device" "$root/dev/$device"
        done
        mkdir "$root/dev/shm"; mount -t tmpfs -o mode=1777,nosuid,nodev,noexec shm "$root/dev/shm"
        mount -t tmpfs cgroup "$root/sys/fs/cgroup"; echo "50000 100000" >"$root/sys/fs/cgroup/cpu.max"
        mount -t tmpfs -o mode=1777,nosuid,nodev,noexec tmp "$root/tmp"
        mount -o remount,bind,ro "$root"
        exec chroot "$root" /usr/bin/env -i -C /data /usr/bin/setpriv --reuid="${user%:*}" --regid="${user#*:}" \
            --clear-groups --bounding-set=-all --inh-caps=-all --no-new-privs /usr/bin/env "$@"
    ' contain "$root" "$work" "$data" "$user" "${write:-0}" "${environment[@]}" HOSTNAME=check "$@"
}

check_configuration() {
    got() { jq -c "$1" "$work/config.json"; }
    check "numeric user, not root" '"10001:10001"' "$(got .User)"
    check "exec-form entry point" '["rankwright"]' "$(got .Entrypoint)"
    check "stopped by SIGTERM" '"SIGTERM"' "$(got .StopSignal)"
    check "health check without a shell" '"CMD"' "$(got '.Healthcheck.Test[0]')"
    check "port" '["8000/tcp"]' "$(got '.ExposedPorts | keys')"
    check "labelled" '"rankwright"' "$(got '.Labels."org.opencontainers.image.title"')"
}

check_files() {
    check "no compiler" "" "$(find "$root" -xdev -path '*/bin/*' -regextype posix-extended \
        -regex '.*/([a-z0-9_-]+-)?(gcc|g\+\+|cc|c\+\+|clang|tcc|ld|as|make)(-[0-9.]+)?' -printf '%P ')"
    check "no pip cache, no package lists" "" \
        "$(find "$root/root" "$root/var/lib/apt/lists" -mindepth 1 \( -name .cache -o -name '*Packages*' \) -printf '%P ')"
    check "no setuid or setgid program" "" "$(find "$root" -xdev -type f -perm /6000 -printf '%P ')"
    check "no settings of the build's host" "" "$(find "$root/etc/pip.conf" -size +0 -printf '%P ' 2>/dev/null || true)"
    check "no project sources outside the environment" "" "$(find "$root" -xdev -name pyproject.toml -path '*/src/*')"
    du -shx "$root/opt/rankwright" | awk '{print "        packages: " $1}'
}

# shellcheck disable=SC2016  # expanded inside the image
check_confinement() {
    check "runs as 10001" "10001 10001" "$(contain sh -c 'echo $(id -u) $(id -g)')"
    check "no capability, no new privileges" "0000000000000000 1" \
        "$(contain sh -c 'awk "/CapBnd/ {b = \$2} /NoNewPrivs/ {n = \$2} END {print b, n}" /proc/self/status')"
    check "writes to /tmp and nowhere else" "/tmp" "$(contain sh -c '
        for d in / /data /models /opt/rankwright/lib /var/tmp /root /etc /tmp; do
            (: >"$d/probe") 2>/dev/null && echo "$d"; done; true')"
    check "CPU limit seen" "1" \
        "$(contain python3 -c 'from ranking.compiled.cpus import available_cpus; print(available_cpus())')"
}

check_training() {
    local run=("${entrypoint[@]}") model=/out/model
    contain "${run[@]}" train /data/train.txt --valid /data/valid.txt --out "$model" --rounds 50 \
        --missing nan --quiet --json >"$work/train.json" || true
    check "trains offline" "true" "$(jq '.rounds > 0' "$work/train.json")"
    check "verifies its model" "true" "$(contain "${run[@]}" verify "$model" --json | jq .ok)"
    write=1 contain "${run[@]}" publish "$model" --registry /models --name check --alias production --json >/dev/null
    # The first query of test.txt, as predicted from the file and as a request.
    awk 'NR == 1 {q = $2} $2 != q {exit} {print}' "$data/test.txt" >"$work/out/query.txt"
    contain "${run[@]}" predict "$model" /out/query.txt >"$work/predicted"
    jq -Rsc '{candidates: [split("\n")[] | select(. != "") | split(" #")[0] | split(" ") | map(select(. != ""))]
        | to_entries | map({id: "d\(.key)", features: (.value[2:]
            | map(split(":") | {key: .[0], value: (.[1] | tonumber)}) | from_entries as $by_number
            | [range(1; $width + 1) | $by_number[tostring]])})}' \
        --argjson width "$(contain "${run[@]}" inspect "$model" --json | jq '.feature_names | length')" \
        "$work/out/query.txt" >"$work/request.json"
}

in_service() { nsenter --target "$process" --net "$@"; }

start_service() {
    contain "${entrypoint[@]}" "${default_command[@]}" 2>"$work/service.log" &
    service=$!
    for _ in {1..300}; do
        # $service is this shell's copy, its child is unshare, and the child of that is process 1 of the image.
        process=$(pgrep -P "$(pgrep -P "$service" || echo 0)" || true)
        if [[ -n $process ]] && in_service curl -fs -o /dev/null http://127.0.0.1:8000/readyz 2>/dev/null; then return; fi
        kill -0 "$service" 2>/dev/null || break
        sleep 0.1
    done
    cat "$work/service.log"
    return 1
}

check_service() {
    local status=0 started health_status=0
    started=$(date +%s%N)
    start_service
    echo "        ready after $((($(date +%s%N) - started) / 1000000)) ms"
    check "the service is process 1" "1" "$(awk '/^NSpid/ {print $NF}' "/proc/$process/status")"
    HTTP_PROXY=http://127.0.0.1:9 http_proxy=http://127.0.0.1:9 in_service \
        chroot --userspec="$user" "$root" /usr/bin/env "${environment[@]}" "${health[@]}" 2>"$work/health.log" || health_status=$?
    check "health check passes, proxy or not" "0" "$health_status"
    in_service curl -sS -H 'content-type: application/json' --data-binary "@$work/request.json" \
        http://127.0.0.1:8000/v1/rank >"$work/reply.json"
    check "POST /v1/rank answers what predict says" "true" \
        "$(jq --slurpfile said "$work/predicted" \
            '(.results | length) == ($said | length) and all(.results[]; (.score - $said[.index] | fabs) < 1e-6)' "$work/reply.json")"
    started=$(date +%s%N)
    kill -TERM "$process"
    timeout 60 tail --pid="$process" -s 0.02 -f /dev/null || kill -KILL "$process"
    wait "$service" || status=$?
    process=
    check "SIGTERM ends process 1 with status 0" "0" "$status"
    echo "        stopped after $((($(date +%s%N) - started) / 1000000)) ms"
    health_status=0
    unshare --net chroot --userspec="$user" "$root" /usr/bin/env "${environment[@]}" "${health[@]}" 2>/dev/null || health_status=$?
    check "health check fails without the service" "1" "$health_status"
}

[[ $EUID == 0 ]] || { echo "check_image.sh: run it as root: it makes namespaces and a base image" >&2; exit 2; }
build
open_image
check_configuration
check_files
check_confinement
check_training
check_service
if ((failures)); then
    echo "$failures checks failed"
    exit 1
fi
echo "the image is what docs/docker.md says"
