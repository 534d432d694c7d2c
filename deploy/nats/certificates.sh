#!/bin/sh
# Makes the certificates that least-privilege.conf and cluster.conf look for, by two authorities made for it: one for what
# clients see, one for the nodes among themselves. Wants openssl. For trying out, and where you have no authority of your own.
#
#   certificates.sh DIRECTORY NAME…    names and IP addresses under which the servers are reached
#
# A directory that has certificates stays as it is. ca.pem goes to clients (NATS_CA); both *ca-key.pem to a safe place: who has
# nodes-ca-key.pem can be a node.
set -eu
umask 077
[ $# -ge 2 ] || { echo "usage: certificates.sh DIRECTORY NAME…" >&2; exit 2; }
mkdir -p "$1"
cd "$1"
shift
if [ -e node.pem ]; then
	exit 0
fi

names=
for name in "$@"; do
	case $name in
	*[!0-9.]*) names=$names,DNS:$name ;;
	*) names=$names,IP:$name ;;
	esac
done

# key FILE: a new private key.
key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1"; }

# authority NAME: NAME.pem and NAME-key.pem.
authority() {
	key "$1-key.pem"
	openssl req -new -x509 -key "$1-key.pem" -subj "/CN=activation $1" -days 3650 -out "$1.pem"
}

# signed NAME AUTHORITY USAGE: NAME.pem and NAME-key.pem. NAME.pem comes last: it says that all is there.
signed() {
	key "$1-key.pem"
	printf 'subjectAltName=%s\nextendedKeyUsage=%s\n' "${names#,}" "$3" >"$1.ext"
	openssl req -new -key "$1-key.pem" -subj "/CN=activation $1" -out "$1.csr"
	openssl x509 -req -in "$1.csr" -CA "$2.pem" -CAkey "$2-key.pem" -set_serial "0x$(openssl rand -hex 8)" -days 825 -extfile "$1.ext" -out "$1.pem" 2>/dev/null
	rm "$1.ext" "$1.csr"
}

authority ca
authority nodes-ca
signed server ca serverAuth
signed node nodes-ca serverAuth,clientAuth
chmod 644 ca.pem nodes-ca.pem server.pem node.pem
