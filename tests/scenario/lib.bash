# Shared by the scenario scripts: a folder of their own, checks that count, and who is still alive.
#
# Workers are started through links in $work/workers, so that this run's workers are told from those of other tests by
# their command line.
set -eu

build=${SCRY_BUILD:?the build folder}
source=${SCRY_SOURCE:?the source folder}
scry=$build/scry
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/workers"
for program in scry-eye scry-fake scry-lite runtime; do
    [ ! -e "$build/$program" ] || ln -s "$build/$program" "$work/workers/$program"
done
export SCRY_WORKERS=$work/workers

checked=0 failed=0
check() { # what, command...: counts, and says what did not hold
    checked=$((checked + 1))
    if "${@:2}"; then return; fi
    failed=$((failed + 1))
    echo "FAILED: $1"
}
finish() {
    check "no worker is left" nobody_left
    echo "$1: $checked checks, $failed failed"
    [ $failed -eq 0 ]
    exit
}

now_ms() { echo $((${EPOCHREALTIME/[.,]/} / 1000)); }
has() { [[ $1 == *"$2"* ]]; } # text, part of it
workers_alive() { pgrep -f "^$work/workers/" | wc -l; }
some_alive() { [ "$(workers_alive)" -ge "$1" ]; }
nobody_left() { # within a second
    for _ in $(seq 50); do
        [ "$(workers_alive)" -ne 0 ] || return 0
        sleep 0.02
    done
    pgrep -a -f "^$work/workers/"
    return 1
}
eventually() { # seconds, command: until it succeeds
    local end=$(($(now_ms) + $1 * 1000))
    shift
    until "$@"; do
        [ "$(now_ms)" -lt $end ] || return 1
        sleep 0.02
    done
}

# Runs scry with a limit; leaves $out, $err, $code and $ms.
out='' err='' code=0 ms=0
run() {
    local began
    began=$(now_ms)
    code=0
    timeout -s KILL 60 "$scry" "$@" >"$work/out" 2>"$work/err" || code=$?
    ms=$(($(now_ms) - began))
    out=$(cat "$work/out")
    err=$(cat "$work/err")
}
one_sentence() { [ "$(wc -l <"$work/err")" -eq 1 ] && [[ $err == 'scry: '* ]]; }

# A small picture that every decoder knows: BMP, 2 by 2, written out.
make_bmp() {
    printf 'BM\x46\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0\2\0\0\0\2\0\0\0\1\0\x18\0\0\0\0\0\x10\0\0\0' >"$1"
    printf '\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\xff\0\0\0\xff\0\0\0\0\0\xff\xff\xff\xff\0\0' >>"$1"
}
