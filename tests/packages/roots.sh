# For tests/fresh and tests/packages/run: roots of bare Debian systems. It is given $source, the tree, $codename, the
# release, and $place, a directory for logs; each function acts on $root.
here=$(. /etc/os-release && echo "$VERSION_CODENAME")

say()
{
	echo "-- $codename: $*"
}

# The first archive that this machine's own sources name.
mirror()
{
	local file
	for file in /etc/apt/sources.list.d/*.sources /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
		[ -r "$file" ] || continue
		sed -nE 's/^(URIs:|deb( \[[^]]*\])?)[ \t]+(https?:[^ \t]+).*/\3/p' "$file"
	done | head -n 1
}

# make_root [PACKAGE…]: with these beside what every Debian has.
make_root()
{
	local options=(--variant=minbase)
	[ $# = 0 ] || options+=("--include=$(IFS=, && echo "$*")")
	rm -rf "$root"
	[ -n "$(mirror)" ] || { echo 'no apt source of this machine names an archive' && return 1; }
	say "debootstrap from $(mirror)"
	debootstrap "${options[@]}" "$codename" "$root" "$(mirror)" >"$place/debootstrap.log" 2>&1 || {
		tail -n 5 "$place/debootstrap.log"
		return 1
	}
}

# Files that say how registries are reached, at the same places.
registry_files=(/etc/apt/apt.conf.d/* /etc/apt/auth.conf.d /etc/apt/keyrings /etc/apt/trusted.gpg.d
	/usr/local/share/ca-certificates /etc/pip.conf /etc/resolv.conf /etc/hosts /root/.config/go/env
	/root/.m2/settings.xml /root/.npmrc /root/.cargo/config.toml)
registry_variables=(http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY
	GOPROXY GOSUMDB GONOSUMDB GOPRIVATE GOFLAGS)

settings()
{
	local file
	rm -f "$root/etc/apt/sources.list"
	for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.sources /etc/apt/sources.list.d/*.list; do
		# Debian's own alone: what a newcomer has.
		grep -qsE "(^|[ \t])$here([ \t]|\$)" "$file" && [[ $file != *cidlb* ]] || continue
		sed "s/\<$here\>/$codename/g" "$file" >"$root$file"
	done
	for file in "${registry_files[@]}"; do
		[ -e "$file" ] || continue
		# What a package brings is asked about when the root gets that package, too.
		[[ $file != /etc/apt/apt.conf.d/* ]] || ! dpkg-query -S "$file" >/dev/null 2>&1 || continue
		mkdir -p "$root$(dirname "$file")"
		cp -rLT "$file" "$root$file"
	done
}

# inside FOLDER COMMAND…: in the root, with nothing of this process's environment but what registries need.
inside()
{
	local variable kept=()
	for variable in "${registry_variables[@]}"; do
		[ -z "${!variable:-}" ] || kept+=("$variable=${!variable}")
	done
	env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
		HOME=/root LANG=C.UTF-8 TERM=dumb "${kept[@]}" \
		unshare --mount --pid --fork --kill-child --uts --ipc --propagation private bash -euc '
			root=$1
			mount --bind "$root" "$root"
			cd "$root"
			mount -t proc proc proc
			mount -t sysfs sysfs sys
			mount --rbind /sys/fs/cgroup sys/fs/cgroup
			mount --rbind /dev dev
			mount -t tmpfs tmpfs run
			mount -t tmpfs tmpfs tmp
			mkdir -p .host
			pivot_root . .host
			cd "$2"
			umount -l /.host
			exec "${@:3}" </dev/null' inside "$root" "$@"
}

# step NAME COMMAND…: a line that counts; $place/NAME.log says more. A failure makes $failed "yes".
step()
{
	local start=$SECONDS log=$place/$1.log
	if "${@:2}" >"$log" 2>&1; then
		echo "ok $codename $1 in $((SECONDS - start)) s: $(tail -n 1 "$log")"
	else
		grep -E '^(not ok|skip) ' "$log" | sed "s/^/   | /" || true
		tail -n 30 "$log" | sed "s/^/   | /"
		echo "not ok $codename $1: see $log"
		failed=yes
	fi
	grep -E '^skip ' "$log" | sed "s/^skip /skip $codename /" || true
}
