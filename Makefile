# keyhole: build, try, test and install. Debian 12 and later, Ubuntu 24.04 and later, with a Swift toolchain (6.0 or later).
#
#   make deps demo          install what the build needs, build, run the demo
#   make test-deps test     install what the tests need, run them all, quick ones first
#   make install            into DESTDIR and prefix (/usr/local)
#   make deb                a Debian package for the system that this is, in .build/deb
#   make bench              the figures, each against what it has to reach
#   make natlab-full        which path is taken between any two of the networks people are behind (as root), as a table and a picture
#   make soak               a million requests of all kinds at pkarr-serve, whose memory has to stay where it is
#   make hostile            a million packets of a client that has proved its key and means harm, which the listener has to outlive
#   make fuzz               every parser on a bounded number of inputs
#   make completions        write the shells' completions anew after an option has changed

prefix = /usr/local
bindir = $(prefix)/bin
mandir = $(prefix)/share/man
datadir = $(prefix)/share
docdir = $(datadir)/doc/keyhole
unitdir = $(prefix)/lib/systemd/system
userunitdir = $(prefix)/lib/systemd/user
SWIFT = swift
SUDO = $(if $(filter 0,$(shell id -u)),,sudo)
APT = $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get

commands = homeserver-config iroh-txt keyhole-diagnose pkarr-build pkarr-publish pkarr-resolve pkarr-serve port-map quic-dial quic-listen quic-relay tunnel-bridge
# POSIX shell, which joins them.
scripts = homeserver-gateway pkarr-announce pubky-fetch pubky-proxy
# The standard libraries of Swift and C++ are linked in and relocations packed: a command starts in a few milliseconds, and runs where
# no Swift is installed.
release = --configuration release --static-swift-stdlib -Xswiftc -use-ld=lld -Xlinker -z -Xlinker pack-relative-relocs \
	-Xlinker -L$(CURDIR)/$(static)
static = .build/static
built = .build/release
venv = .build/venv
# The commands that the tests run as processes are those that get installed.
pytest = KEYHOLE_BIN=$(built) $(venv)/bin/python -m pytest -q

build_packages = gcc g++ pkg-config git ca-certificates libjansson-dev libsodium-dev nettle-dev libuv1-dev libmicrohttpd-dev libsqlite3-dev \
	libcurl4-openssl-dev libssl-dev libgnutls28-dev libngtcp2-dev libngtcp2-crypto-gnutls-dev libminiupnpc-dev \
	libnatpmp-dev libtomlplusplus-dev
demo_packages = curl python3
test_packages = python3-venv shellcheck mandoc zsh fish chromium gnutls-bin debootstrap debian-archive-keyring debhelper dpkg-dev lintian $(dns_packages) $(relay_packages) $(natlab_packages)
# Clients and servers of ordinary DNS, and what makes a network for one of them.
dns_packages = bind9-dnsutils knot-dnsutils ldnsutils dnsmasq-base unbound iproute2 util-linux
# What stands before a relay, and reads its units.
relay_packages = nginx-light tinyproxy caddy nftables openssl iproute2 systemd
# Routers, and what runs on them.
natlab_packages = iproute2 nftables conntrack gcc tinyproxy miniupnpd-nftables miniupnpc openssl $(recipe_packages)
# What keyhole-recipes(7) is about.
recipe_packages = openssh-server openssh-client rsync curl jq python3
bench_packages = jq openssl haproxy ngtcp2-client ngtcp2-server nginx-light dnsperf

.PHONY: build deps demo test-deps test lint unit commands race interop natlab natlab-full soak hostile fuzz debian13 debian13-packages package bench completions install deb clean

build: $(static)/libstdc++.a
	$(SWIFT) build $(release)

# A folder that holds nothing but the archive, so that the linker does not find the shared one first.
$(static)/libstdc++.a:
	mkdir -p $(static)
	ln -s "$$(gcc -print-file-name=libstdc++.a)" $@

deps:
	$(APT) update
	$(APT) install -y --no-install-recommends $(build_packages) $(demo_packages)

demo: build
	PATH="$(CURDIR)/$(built):$$PATH" examples/demo

test-deps: deps
	$(APT) install -y --no-install-recommends $(test_packages) $(bench_packages)

# Each suite's last line is its own runner's.
test: lint unit commands interop natlab fuzz package debian13

lint:
	Tests/lint

unit:
	Tests/unit

commands: build $(venv)/installed
	$(pytest) Tests/Commands

# Publishers of one key that race a thousand times, as processes. The suites do some rounds of it, and a simulation the thousand.
race: build $(venv)/installed
	RACE_ROUNDS=1000 PATIENCE=600 $(pytest) Tests/Commands/test_merging.py -k race

interop: build $(venv)/installed
	$(pytest) Tests/Interop

# Every kind of network is what it says, some pairs of them, failures of all sorts, and all pairs; each path that is not as expected is told.
natlab: build $(venv)/installed
	$(pytest) Tests/NATLab --ignore Tests/NATLab/test_staying_alive.py
	$(pytest) Tests/NATLab/test_staying_alive.py --numprocesses 8 --maxschedchunk 1
	KEYHOLE_BIN=$(built) Tests/NATLab/matrix > .build/matrix.ndjson

# Some minutes, and the README's picture.
natlab-full: build $(venv)/installed
	KEYHOLE_BIN=$(built) Tests/NATLab/matrix --iroh --delay 10 --svg Tests/NATLab/matrix.svg

# Some minutes; the commands' tests have a short one.
soak: build $(venv)/installed
	KEYHOLE_BIN=$(built) $(venv)/bin/python Tests/soak.py

# The unit tests send some thousands.
hostile:
	HOSTILE_PACKETS=1000000 $(SWIFT) test --filter HostileClients

fuzz:
	Tests/Fuzz/run

# The Debian package does its work on a Debian 12 that has nothing else, and leaves nothing behind.
package: deb
	lintian --allow-root --fail-on error,warning .build/deb/keyhole_*.deb
	Tests/Debian12/install .build/deb/keyhole_*.deb

debian13:
	Tests/Debian13/build

debian13-packages:
	@echo $(build_packages)

bench: build $(venv)/installed
	$(venv)/bin/python Benchmarks/run

completions: build
	for command in $(commands); do \
		for shell in bash zsh fish; do \
			$(built)/$$command --generate-completion-script $$shell > completions/$$command.$$shell || exit 1; \
		done; \
	done

$(venv)/installed: Tests/requirements.txt
	python3 -m venv $(venv)
	$(venv)/bin/pip install --quiet --requirement Tests/requirements.txt
	touch $@

# Needs no compiler, so that it can be run as another user after `make`.
install:
	install -d $(DESTDIR)$(bindir) $(DESTDIR)$(mandir)/man1 $(DESTDIR)$(mandir)/man5 $(DESTDIR)$(mandir)/man7
	install -s $(commands:%=$(built)/%) $(DESTDIR)$(bindir)
	install -d $(DESTDIR)$(datadir)/keyhole $(DESTDIR)$(docdir)/examples
	for script in $(scripts); do \
		sed 's|^\. "$$(dirname "$$0")/|. "$(datadir)/keyhole/|' examples/$$script > $(DESTDIR)$(bindir)/$$script && \
		chmod 755 $(DESTDIR)$(bindir)/$$script || exit 1; \
	done
	sed 1d examples/common.sh > $(DESTDIR)$(datadir)/keyhole/common.sh
	chmod 644 $(DESTDIR)$(datadir)/keyhole/common.sh
	install -m 644 examples/*.conf $(DESTDIR)$(docdir)/examples
	install -m 644 man/*.1 $(DESTDIR)$(mandir)/man1
	install -m 644 man/*.5 $(DESTDIR)$(mandir)/man5
	install -m 644 man/*.7 $(DESTDIR)$(mandir)/man7
	install -d $(DESTDIR)$(unitdir) $(DESTDIR)$(userunitdir)
	for unit in systemd/*.*; do \
		sed 's|/usr/local/bin/|$(bindir)/|' $$unit > $(DESTDIR)$(unitdir)/$${unit##*/} && \
		chmod 644 $(DESTDIR)$(unitdir)/$${unit##*/} || exit 1; \
	done
	for unit in systemd/user/*; do \
		sed 's|/usr/local/bin/|$(bindir)/|' $$unit > $(DESTDIR)$(userunitdir)/$${unit##*/} && \
		chmod 644 $(DESTDIR)$(userunitdir)/$${unit##*/} || exit 1; \
	done
	install -d $(DESTDIR)$(datadir)/bash-completion/completions $(DESTDIR)$(datadir)/zsh/site-functions \
		$(DESTDIR)$(datadir)/fish/vendor_completions.d
	for command in $(commands); do \
		sed '1{/^#!/d;}' completions/$$command.bash > $(DESTDIR)$(datadir)/bash-completion/completions/$$command && \
		chmod 644 $(DESTDIR)$(datadir)/bash-completion/completions/$$command && \
		install -m 644 completions/$$command.zsh $(DESTDIR)$(datadir)/zsh/site-functions/_$$command && \
		install -m 644 completions/$$command.fish $(DESTDIR)$(datadir)/fish/vendor_completions.d/$$command.fish || exit 1; \
	done

# In a folder of its own, so that nothing is left in this one.
deb: build
	rm -rf .build/deb
	mkdir -p .build/deb/keyhole
	cp -R debian README.md .build/deb/keyhole
	cd .build/deb/keyhole && source=$(CURDIR) dpkg-buildpackage --build=binary --no-sign > ../log 2>&1 || { cat ../log >&2; exit 1; }
	ls .build/deb/*.deb

clean:
	rm -rf .build .build-fuzz .build-debian12 .build-debian13
