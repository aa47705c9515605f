"""What kazoo does over TLS: arguments are host:port, the CA, and a certificate with its key. See tls_test.go."""

import sys

from kazoo.client import KazooClient
from kazoo.exceptions import NoAuthError
from kazoo.security import ACL, Id, make_acl

ADDR, CA, CERT = sys.argv[1:4]
WAIT = 20


def connect(**more):
    client = KazooClient(hosts=ADDR, timeout=10, **more)
    client.start(timeout=WAIT)
    return client


secure = connect(use_ssl=True, ca=CA, certfile=CERT, keyfile=CERT)
acl = make_acl("x509", "CN=server,O=Grove", all=True)
secure.create("/mine", b"by certificate", acl=[acl])
secure.create("/auth", b"", acl=[ACL(31, Id("auth", ""))])
entry = secure.get_acls("/auth")[0][0]
if (entry.id.scheme, entry.id.id) != ("x509", "CN=server,O=Grove"):
    raise AssertionError("auth became %r" % (entry,))
if secure.get("/mine")[0] != b"by certificate":
    raise AssertionError("not what was written")
big = bytes(bytearray(range(256))) * 2000
secure.create("/big", big)
if secure.get("/big")[0] != big:
    raise AssertionError("half a megabyte came back otherwise")

for more in ({}, {"use_ssl": True, "ca": CA}):
    nobody = connect(**more)
    try:
        nobody.get("/mine")
        raise AssertionError("read without a certificate: %r" % (more,))
    except NoAuthError:
        pass
    if nobody.get("/big")[0] != big:
        raise AssertionError("half a megabyte came back otherwise")
    nobody.stop()
secure.stop()
print("done")
