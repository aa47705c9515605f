#!/bin/sh
# Makes the stores here as operators do, with openssl 3 and keytool 17. The password is "changeit"; the keys
# protect nothing. One CA signs all; everything is valid for a century.
set -eu
cd "$(dirname "$0")"
rm -f ./*.pem ./*.p12 ./*.jks ./*.pfx ./*.store ./*.key
days=36500 pw=changeit
ec="-newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc"

# shellcheck disable=SC2086
openssl req -x509 $ec -keyout ca.key -out ca.pem -days $days -subj /O=Grove/CN=ca -addext basicConstraints=critical,CA:true
# shellcheck disable=SC2086
openssl req $ec -keyout key.pem -out csr -subj /O=Grove/CN=server -addext subjectAltName=DNS:localhost,IP:127.0.0.1
openssl x509 -req -in csr -CA ca.pem -CAkey ca.key -out cert.pem -days $days -copy_extensions copy
cat key.pem cert.pem ca.pem > both.pem
openssl pkey -in key.pem -aes256 -passout pass:$pw -out encrypted.key
openssl ec -in key.pem -aes256 -passout pass:$pw -out traditional.key

p12="openssl pkcs12 -export -in cert.pem -inkey key.pem -certfile ca.pem -passout pass:$pw"
$p12 -out modern.p12
$p12 -out legacy.pfx -legacy
$p12 -out des3.p12 -keypbe PBE-SHA1-3DES -certpbe PBE-SHA1-3DES -macalg sha1
openssl pkcs12 -export -nokeys -in ca.pem -passout pass:$pw -out unmarked.p12

kt="keytool -storepass $pw -noprompt"
import="-importkeystore -srckeystore modern.p12 -srcstoretype PKCS12 -srcstorepass $pw -deststorepass $pw -noprompt"
# shellcheck disable=SC2086
keytool $import -destkeystore key.jks -deststoretype JKS
# shellcheck disable=SC2086
keytool $import -destkeystore key12.jks -deststoretype PKCS12 # the name says one thing, the contents the other
# shellcheck disable=SC2086
keytool $import -destkeystore keytool-legacy.p12 -deststoretype PKCS12 -J-Dkeystore.pkcs12.legacy
$kt -importcert -alias ca -file ca.pem -keystore trust.jks -storetype JKS
$kt -importcert -alias ca -file ca.pem -keystore trust.p12 -storetype PKCS12
cp trust.jks trust.store
$kt -genkeypair -alias rsa -keyalg RSA -keysize 2048 -dname CN=rsa,O=Grove -validity $days -keystore rsa.jks -storetype JKS
rm -f csr ca.key
