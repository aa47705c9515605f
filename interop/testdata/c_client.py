"""What the C client library does against a server, called from Python. Reports in lines: see program_test.go.

The shell cli_mt covers a part of the library; multi and lists of permissions are here.
"""

import ctypes
import sys
import threading
from ctypes import (
    CFUNCTYPE,
    POINTER,
    Structure,
    Union,
    byref,
    c_char_p,
    c_int,
    c_int32,
    c_int64,
    c_void_p,
    create_string_buffer,
)

ADDR, ROOT = sys.argv[1].encode(), sys.argv[2].encode()
WAIT = 20

lib = ctypes.CDLL("libzookeeper_mt.so.2")

OK, NO_NODE, NO_AUTH, BAD_VERSION = 0, -101, -102, -103
NO_CHILDREN_FOR_EPHEMERALS, NODE_EXISTS, NOT_EMPTY, INVALID_ACL = -108, -110, -111, -114
ROLLED_BACK, RUNTIME_INCONSISTENCY = 0, -2
CONNECTED = 3
CREATED, DELETED, CHANGED, CHILD, SESSION = 1, 2, 3, 4, -1
PERSISTENT, EPHEMERAL, SEQUENTIAL, EPHEMERAL_SEQUENTIAL, CONTAINER, TTL = range(6)


class Stat(Structure):
    _fields_ = [
        ("czxid", c_int64), ("mzxid", c_int64), ("ctime", c_int64), ("mtime", c_int64),
        ("version", c_int32), ("cversion", c_int32), ("aversion", c_int32), ("ephemeralOwner", c_int64),
        ("dataLength", c_int32), ("numChildren", c_int32), ("pzxid", c_int64),
    ]


class ACL(Structure):
    _fields_ = [("perms", c_int32), ("scheme", c_char_p), ("id", c_char_p)]


class ACLVector(Structure):
    _fields_ = [("count", c_int32), ("data", POINTER(ACL))]


class Strings(Structure):
    _fields_ = [("count", c_int32), ("data", POINTER(c_char_p))]


class ClientID(Structure):
    _fields_ = [("id", c_int64), ("password", ctypes.c_char * 16)]


class CreateOp(Structure):
    _fields_ = [
        ("path", c_char_p), ("data", c_char_p), ("datalen", c_int), ("buf", c_void_p), ("buflen", c_int),
        ("acl", c_void_p), ("flags", c_int), ("ttl", c_int64),
    ]


class AnyOp(Union):
    _fields_ = [("create", CreateOp)]  # the largest of them


class Op(Structure):
    _fields_ = [("type", c_int), ("any", AnyOp)]


class Result(Structure):
    _fields_ = [("err", c_int), ("value", c_void_p), ("valuelen", c_int), ("stat", c_void_p)]


WATCHER = CFUNCTYPE(None, c_void_p, c_int, c_int, c_char_p, c_void_p)
COMPLETION = CFUNCTYPE(None, c_int, c_void_p)
lib.zookeeper_init.restype = c_void_p
lib.zoo_client_id.restype = POINTER(ClientID)
lib.zoo_client_id.argtypes = [c_void_p]
lib.zoo_state.argtypes = [c_void_p]
OPEN = ACLVector.in_dll(lib, "ZOO_OPEN_ACL_UNSAFE")


def check(what, got, want):
    if got != want:
        raise AssertionError("%s is %r, want %r" % (what, got, want))


def acls(*entries):
    return ACLVector(len(entries), (ACL * len(entries))(*entries))


class Watcher(object):
    """Keeps what the library tells, and can be waited for."""

    def __init__(self):
        self.events, self.cond = [], threading.Condition()
        self.callback = WATCHER(self.tell)

    def tell(self, handle, kind, state, path, context):
        with self.cond:
            self.events.append((kind, state if kind == SESSION else path))
            self.cond.notify_all()

    def wait(self, kind, what):
        with self.cond:
            if not self.cond.wait_for(lambda: (kind, what) in self.events, WAIT):
                raise AssertionError("events are %r, want %r" % (self.events, (kind, what)))

    def clear(self):
        with self.cond:
            self.events = []


class Client(object):
    def __init__(self, identity=None):
        self.session = Watcher()
        self.handle = c_void_p(lib.zookeeper_init(ADDR, self.session.callback, 10000, identity, None, 0))
        self.session.wait(SESSION, CONNECTED)

    def create(self, path, data=b"x", mode=PERSISTENT, acl=None, ttl=-1):
        buf = create_string_buffer(200)
        code = lib.zoo_create_ttl(self.handle, path, data, len(data), byref(acl or OPEN), mode, c_int64(ttl), buf, 200)
        return code, buf.value

    def create2(self, path, data):
        buf, stat = create_string_buffer(200), Stat()
        code = lib.zoo_create2(self.handle, path, data, len(data), byref(OPEN), 0, buf, 200, byref(stat))
        return code, buf.value, stat

    def get(self, path, watcher=None):
        buf, size, stat = create_string_buffer(1000), c_int(1000), Stat()
        if watcher:
            code = lib.zoo_wget(self.handle, path, watcher.callback, None, buf, byref(size), byref(stat))
        else:
            code = lib.zoo_get(self.handle, path, 0, buf, byref(size), byref(stat))
        return code, buf.raw[: max(size.value, 0)] if code == OK else None, stat

    def set(self, path, data, version=-1):
        return lib.zoo_set(self.handle, path, data, len(data), version)

    def delete(self, path, version=-1):
        return lib.zoo_delete(self.handle, path, version)

    def exists(self, path, watcher=None):
        stat = Stat()
        if watcher:
            return lib.zoo_wexists(self.handle, path, watcher.callback, None, byref(stat)), stat
        return lib.zoo_exists(self.handle, path, 0, byref(stat)), stat

    def children(self, path, watcher=None):
        names, stat = Strings(), Stat()
        if watcher:
            code = lib.zoo_wget_children2(self.handle, path, watcher.callback, None, byref(names), byref(stat))
        else:
            code = lib.zoo_get_children2(self.handle, path, 0, byref(names), byref(stat))
        return code, sorted(names.data[i] for i in range(names.count)), stat

    def identity(self):
        return lib.zoo_client_id(self.handle).contents

    def close(self):
        return lib.zookeeper_close(self.handle)


def create(c):
    check("path", c.create(ROOT, b"one"), (OK, ROOT))
    check("again", c.create(ROOT)[0], NODE_EXISTS)
    check("no parent", c.create(ROOT + b"/no/parent")[0], NO_NODE)
    code, path, stat = c.create2(ROOT + b"/two", b"22")
    check("create2", (code, path, stat.version, stat.dataLength), (OK, ROOT + b"/two", 0, 2))


def read(c):
    code, data, stat = c.get(ROOT)
    check("data", (code, data), (OK, b"one"))
    check("stat", (stat.version, stat.numChildren, stat.cversion, stat.ephemeralOwner), (0, 1, 1, 0))
    check("children", c.children(ROOT)[:2], (OK, [b"two"]))
    check("nothing", c.exists(ROOT + b"/nothing")[0], NO_NODE)


def update(c):
    check("set", c.set(ROOT, b"two"), OK)
    check("data", c.get(ROOT)[1], b"two")
    check("version", c.set(ROOT, b"three", 7), BAD_VERSION)


def delete(c):
    check("version", c.delete(ROOT + b"/two", 3), BAD_VERSION)
    check("not empty", c.delete(ROOT), NOT_EMPTY)
    check("delete", c.delete(ROOT + b"/two"), OK)
    check("again", c.delete(ROOT + b"/two"), NO_NODE)


def ephemeral(c):
    check("create", c.create(ROOT + b"/mine", mode=EPHEMERAL)[0], OK)
    check("owner", c.exists(ROOT + b"/mine")[1].ephemeralOwner, c.identity().id)
    check("child", c.create(ROOT + b"/mine/child")[0], NO_CHILDREN_FOR_EPHEMERALS)
    other, gone = Client(), Watcher()
    check("theirs", other.create(ROOT + b"/theirs", mode=EPHEMERAL)[0], OK)
    check("watched", c.exists(ROOT + b"/theirs", gone)[0], OK)
    other.close()
    gone.wait(DELETED, ROOT + b"/theirs")


def sequential(c):
    check("parent", c.create(ROOT + b"/seq")[0], OK)
    check("first", c.create(ROOT + b"/seq/n-", mode=SEQUENTIAL), (OK, ROOT + b"/seq/n-0000000000"))
    check("next", c.create(ROOT + b"/seq/m-", mode=EPHEMERAL_SEQUENTIAL), (OK, ROOT + b"/seq/m-0000000001"))


def container(c):
    box, gone = ROOT + b"/box", Watcher()
    check("create", c.create(box, mode=CONTAINER), (OK, box))
    check("child", c.create(box + b"/child")[0], OK)
    check("watched", c.exists(box, gone)[0], OK)
    check("empty", c.delete(box + b"/child"), OK)
    gone.wait(DELETED, box)


def ttl(c):
    brief, gone = ROOT + b"/brief", Watcher()
    check("create", c.create(brief, mode=TTL, ttl=500), (OK, brief))
    check("watched", c.exists(brief, gone)[0], OK)
    gone.wait(DELETED, brief)


def multi(c):
    def run(*inits):
        ops, results = (Op * len(inits))(), (Result * len(inits))()
        for op, (init, args) in zip(ops, inits):
            init(byref(op), *args)
        return lib.zoo_multi(c.handle, len(inits), ops, results), [r.err for r in results]

    m, made, stat = ROOT + b"/m", create_string_buffer(200), Stat()
    check("held", run(
        (lib.zoo_create_op_init, (m, b"1", 1, byref(OPEN), PERSISTENT, None, 0)),
        (lib.zoo_create_op_init, (m + b"/n-", b"", 0, byref(OPEN), SEQUENTIAL, made, 200)),
        (lib.zoo_set_op_init, (m, b"2", 1, 0, byref(stat))),
        (lib.zoo_check_op_init, (m, 1)),
        (lib.zoo_delete_op_init, (m + b"/n-0000000000", -1)),
    ), (OK, [OK] * 5))
    check("made", (made.value, stat.version), (m + b"/n-0000000000", 1))
    check("failed", run(
        (lib.zoo_set_op_init, (m, b"3", 1, -1, None)),
        (lib.zoo_check_op_init, (m, 9)),
        (lib.zoo_delete_op_init, (m, -1)),
    ), (BAD_VERSION, [ROLLED_BACK, BAD_VERSION, RUNTIME_INCONSISTENCY]))
    check("data", c.get(m)[1], b"2")


def acl(c):
    done, codes = threading.Event(), []
    told = COMPLETION(lambda code, _: (codes.append(code), done.set()))
    check("auth", lib.zoo_add_auth(c.handle, b"digest", b"bob:builder", 11, told, None), OK)
    check("answered", (done.wait(WAIT), codes), (True, [OK]))
    private, listed, stat = ROOT + b"/private", ACLVector(), Stat()
    creator, readers = acls(ACL(31, b"auth", b"")), acls(ACL(1, b"world", b"anyone"))
    check("create", c.create(private, b"secret", acl=creator)[0], OK)
    check("get list", lib.zoo_get_acl(c.handle, private, byref(listed), byref(stat)), OK)
    one = listed.data[0]
    check("list", (listed.count, one.perms, one.scheme, one.id), (1, 31, b"digest", b"bob:4rsXV9JgUbFl9ZE40xENilxlRV8="))
    stranger = Client()
    check("refused", stranger.get(private)[0], NO_AUTH)
    check("not theirs", lib.zoo_set_acl(stranger.handle, private, -1, byref(readers)), NO_AUTH)
    check("opened", lib.zoo_set_acl(c.handle, private, 0, byref(readers)), OK)
    check("readable", stranger.get(private)[1], b"secret")
    check("no scheme", lib.zoo_set_acl(c.handle, ROOT, -1, byref(acls(ACL(31, b"nobody", b"x")))), INVALID_ACL)
    check("empty list", lib.zoo_set_acl(c.handle, ROOT, -1, byref(acls())), INVALID_ACL)
    check("not admin", lib.zoo_set_acl(c.handle, private, -1, byref(OPEN)), NO_AUTH)
    stranger.close()


def one_shot(c):
    path, born, changed, children = ROOT + b"/watched", Watcher(), Watcher(), Watcher()
    check("absent", c.exists(path, born)[0], NO_NODE)
    check("create", c.create(path, b"1")[0], OK)
    born.wait(CREATED, path)
    check("get", c.get(path, changed)[0], OK)
    check("children", c.children(path, children)[0], OK)
    check("set", c.set(path, b"2"), OK)
    changed.wait(CHANGED, path)
    check("set again", c.set(path, b"3"), OK)
    check("child", c.create(path + b"/child")[0], OK)
    children.wait(CHILD, path)
    check("events", (changed.events, children.events), ([(CHANGED, path)], [(CHILD, path)]))


kept = Watcher()  # on root/away, across the restart


def restart(c):
    path = ROOT + b"/away"
    check("create", c.create(path)[0], OK)
    check("watched", c.get(path, kept)[0], OK)
    before = (c.identity().id, c.identity().password)
    c.session.clear()
    print("restart", flush=True)
    sys.stdin.readline()
    c.session.wait(SESSION, CONNECTED)
    check("session", (c.identity().id, c.identity().password), before)
    check("owner", c.exists(ROOT + b"/mine")[1].ephemeralOwner, before[0])


def missed(c):
    """The library says again what it watched, and is told what has changed."""
    kept.wait(CHANGED, ROOT + b"/away")
    check("data", c.get(ROOT + b"/away")[1], b"changed")


def taken_over(c):
    """Another process may come with the id and the password that the first one had."""
    identity = ClientID.from_buffer_copy(c.identity())
    second = Client(byref(identity))
    check("session", second.identity().id, identity.id)
    check("owner", second.exists(ROOT + b"/mine")[1].ephemeralOwner, identity.id)
    second.close()


def run(row, what, c):
    try:
        what(c)
    except Exception as problem:  # every row is tried, and each tells its own story
        print("failed %s: %s: %s" % (row, type(problem).__name__, problem))
    else:
        print("did %s" % row)


def both(*parts):
    return lambda c: [part(c) for part in parts]


def main():
    lib.zoo_set_debug_level(1)
    c = Client()
    for row, what in [
        ("create", create),
        ("read", read),
        ("update", update),
        ("delete", delete),
        ("ephemeral", ephemeral),
        ("sequential", sequential),
        ("container", container),
        ("TTL", ttl),
        ("multi", multi),
        ("ACL", acl),
        ("one-shot watch", one_shot),
        ("events missed meanwhile", both(restart, missed)),
        ("session after a restart", taken_over),
    ]:
        run(row, what, c)
    for row in ["persistent watch", "recursive watch"]:
        print("lacks %s: library has no addWatch" % row)
    for row in ["lock", "election", "cache"]:
        print("lacks %s: library in Debian's package has no recipes" % row)
    print("done", flush=True)


main()
