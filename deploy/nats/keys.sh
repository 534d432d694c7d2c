#!/bin/sh
# Makes a key for each user of accounts.conf: USER.nk, the seed, for whoever uses it, and keys.env, the public halves, for the
# servers. Wants the nats command line.
#
#   keys.sh DIRECTORY [USER…]    all users unless said
#
# Users who have a key keep it; keys.env is written anew and names everybody who has one.
set -eu
umask 077
[ $# -ge 1 ] || { echo "usage: keys.sh DIRECTORY [USER…]" >&2; exit 2; }
mkdir -p "$1"
cd "$1"
shift
[ $# -gt 0 ] || set -- system setup worker pipeline greeter alice bob carol dave monitor

for who in "$@"; do
	if [ ! -e "$who.nk" ]; then
		nats auth nkey gen user >"$who.new"
		mv "$who.new" "$who.nk"
	fi
done
for seed in *.nk; do
	who=$(echo "${seed%.nk}" | tr a-z A-Z)
	echo "ACTIVATION_NKEY_$who=$(nats auth nkey show "$seed")"
done >keys.env.new
mv keys.env.new keys.env
