"""The C client library, called from Python, with several servers, of which one after the other is killed.

As kazoo_quorum.py. Reports in lines: see program_test.go.
"""

import ctypes
import sys
import threading
import time
from ctypes import CFUNCTYPE, POINTER, Structure, byref, c_char_p, c_int, c_int32, c_int64, c_void_p, create_string_buffer

ADDRS, ROOT = sys.argv[1].encode(), sys.argv[2].encode()
OK, CONNECTION_LOSS, OPERATION_TIMEOUT, NODE_EXISTS = 0, -4, -7, -110
SESSION, CONNECTED, EXPIRED = -1, 3, -112
WAIT = 30

lib = ctypes.CDLL("libzookeeper_mt.so.2")


class Stat(Structure):
    _fields_ = [
        ("czxid", c_int64), ("mzxid", c_int64), ("ctime", c_int64), ("mtime", c_int64),
        ("version", c_int32), ("cversion", c_int32), ("aversion", c_int32), ("ephemeralOwner", c_int64),
        ("dataLength", c_int32), ("numChildren", c_int32), ("pzxid", c_int64),
    ]


class ClientID(Structure):
    _fields_ = [("id", c_int64), ("password", ctypes.c_char * 16)]


WATCHER = CFUNCTYPE(None, c_void_p, c_int, c_int, c_char_p, c_void_p)
lib.zookeeper_init.restype = c_void_p
lib.zoo_client_id.restype = POINTER(ClientID)
lib.zoo_client_id.argtypes = [c_void_p]
OPEN = ctypes.c_char.in_dll(lib, "ZOO_OPEN_ACL_UNSAFE")

states, up = [], threading.Event()


def tell(handle, kind, state, path, context):
    if kind == SESSION:
        states.append(state)
        if state == CONNECTED:
            up.set()


callback = WATCHER(tell)


def again(what, *done):
    """Repeats a request that got lost with its connection."""
    end = time.time() + WAIT
    while True:
        code = what()
        if code == OK or code in done:
            return
        if code not in (CONNECTION_LOSS, OPERATION_TIMEOUT) or time.time() > end:
            raise AssertionError("answered with %d" % code)
        time.sleep(0.02)


def main():
    lib.zoo_set_debug_level(0)
    handle = c_void_p(lib.zookeeper_init(ADDRS, callback, 10000, None, None, 0))
    if not up.wait(WAIT):
        raise AssertionError("no session")
    session = lib.zoo_client_id(handle).contents.id
    path = create_string_buffer(200)
    again(lambda: lib.zoo_create(handle, ROOT, b"0", 1, byref(OPEN), 0, path, 200), NODE_EXISTS)
    again(lambda: lib.zoo_create(handle, ROOT + b"/mine", b"x", 1, byref(OPEN), 1, path, 200), NODE_EXISTS)
    print("ready", flush=True)
    written = 0
    for line in sys.stdin:
        if line.strip() == "end":
            break
        for _ in range(50):
            written += 1
            data, buf, size = b"%d" % written, create_string_buffer(100), c_int()

            def get():
                size.value = 100
                return lib.zoo_get(handle, ROOT, 0, buf, byref(size), byref(Stat()))

            again(lambda: lib.zoo_set(handle, ROOT, data, len(data), -1))
            again(get)
            if buf.raw[: size.value] != data:
                print("failed read: %r after %r was written" % (buf.raw[: size.value], data))
        print("served", flush=True)
    if EXPIRED in states or lib.zoo_client_id(handle).contents.id != session:
        print("failed session: states %r" % states)
    stat = Stat()
    again(lambda: lib.zoo_exists(handle, ROOT + b"/mine", 0, byref(stat)))
    if stat.ephemeralOwner != session:
        print("failed ephemeral: of 0x%x, not 0x%x" % (stat.ephemeralOwner, session))
    lib.zookeeper_close(handle)
    print("done", flush=True)


main()
