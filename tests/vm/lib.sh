# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the virtual machine tests share: the cache, Debian's kernels, QEMU.
#
# The cache lies outside the tree, in ${XDG_CACHE_HOME:-~/.cache}/postern. Each
# entry is named after what it was made from, is put in place by one rename,
# and so is either whole or absent. Entries that nobody used for 30 days go.

# What the tests use and Debian builds as modules: what the host's own namespaces
# would load by themselves.
vm_modules=(veth dummy overlay nft_chain_nat nft_nat sctp smc vsock_loopback)

vm_die() {
  echo "${0##*/}: $*" >&2
  exit 1
}

vm_cache_dir() {
  local dir="${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/postern/$1"
  mkdir -p "$dir"
  find "$dir" -mindepth 1 -maxdepth 1 -mtime +30 -exec rm -rf {} +
  echo "$dir"
}

# The version that apt would install, or nothing.
vm_candidate() {
  apt-cache policy "$1" 2>/dev/null | awk '$1 == "Candidate:" && $2 != "(none)" {print $2}'
}

# vm_kernel PACKAGE: prints a folder with `vmlinuz`, `release` and `modules/`
# (uncompressed, in the order to load them) of the kernel that PACKAGE, which
# may be a metapackage, stands for today. Falls back to the newest cached one
# where the archive cannot be reached.
vm_kernel() {
  local package=$1 cache image version entry
  cache=$(vm_cache_dir kernels)
  image=$(apt-cache depends "$package" 2>/dev/null |
    awk '$1 == "Depends:" && $2 ~ /^linux-image-[0-9]/ {print $2; exit}')
  image=${image:-$package}
  version=$(vm_candidate "$image")
  # Under the modules' names too: another choice of them is another entry.
  entry="$cache/$image=$version+$(printf '%s ' "${vm_modules[@]}" | cksum | cut -d ' ' -f 1)"
  if [[ -z $version ]]; then
    entry=$(find "$cache" -mindepth 1 -maxdepth 1 -name "${package%-amd64}*" | sort -V | tail -n 1)
    [[ -n $entry ]] || vm_die "apt knows no kernel package $package; run apt-get update"
  fi
  exec {vm_kernel_lock}>"$cache/.lock"
  flock "$vm_kernel_lock"
  if [[ ! -d $entry ]]; then
    vm_fetch_kernel "$image" "$version" "$entry" >&2
  fi
  exec {vm_kernel_lock}>&-
  touch "$entry"
  echo "$entry"
}

vm_fetch_kernel() {
  local image=$1 version=$2 entry=$3 work release module path index=0
  work=$(mktemp -d "${entry%/*}/.making.XXXXXX")
  (cd "$work" && apt-get -qq -o APT::Sandbox::User=root download "$image=$version") ||
    vm_die "cannot download $image $version; is the Debian archive reachable?"
  dpkg -x "$work"/*.deb "$work/root"
  release=$(basename "$work"/root/lib/modules/*)
  mkdir -p "$work/entry/modules"
  cp "$work"/root/boot/vmlinuz-* "$work/entry/vmlinuz"
  echo "$release" >"$work/entry/release"
  find "$work/root/lib/modules" -name '*.ko.xz' -exec xz -d {} +
  depmod -b "$work/root" "$release"
  for module in "${vm_modules[@]}"; do
    while read -r path; do
      path=${path#insmod }
      path=${path%% *}
      compgen -G "$work/entry/modules/*-${path##*/}" >/dev/null && continue
      printf -v index '%02d' "$((10#$index + 1))"
      cp "$path" "$work/entry/modules/$index-${path##*/}"
    done < <(modprobe -d "$work/root" -S "$release" --show-depends "$module" | grep '^insmod ')
  done
  mv "$work/entry" "$entry"
  rm -rf "$work"
}

# vm_boot SECONDS CONSOLE RESULTS APPEND QEMU_OPTIONS...: boots, with the kernel's
# console in the file CONSOLE and the guest's second serial port, which is the
# tests' own, in RESULTS. Returns 124 when the time is over.
vm_boot() {
  local seconds=$1 console=$2 results=$3 append=$4
  shift 4
  : >"$console"
  : >"$results"
  timeout --kill-after=5 "$seconds" qemu-system-x86_64 \
    -accel tcg,thread=single -cpu max -nodefaults -nographic -no-reboot \
    -chardev "file,id=console,path=$console" -serial chardev:console \
    -chardev "file,id=results,path=$results" -serial chardev:results \
    -append "console=ttyS0 quiet panic=-1 mitigations=off random.trust_cpu=on $append" \
    "$@" </dev/null
}

# vm_copy_program ROOT PATH [TARGET]: copies a program, without its debug
# information, and the libraries that it needs.
vm_copy_program() {
  local root=$1 path=$2 target=${3:-$2} library
  mkdir -p "$root${target%/*}"
  strip -g -o "$root$target" "$path" 2>/dev/null || cp -L "$path" "$root$target"
  chmod 0755 "$root$target"
  while read -r library; do
    [[ -e $root$library ]] && continue
    mkdir -p "$root${library%/*}"
    cp -L "$library" "$root$library"
  done < <(ldd "$path" 2>/dev/null | awk '$2 == "=>" && $3 ~ /^\// {print $3} $1 ~ /^\// {print $1}')
}
