"""What kazoo does against a server. Reports in lines: see program_test.go."""

import sys
import threading

from kazoo.client import KazooClient, KazooState
from kazoo.exceptions import (
    BadVersionError,
    InvalidACLError,
    NoAuthError,
    NoChildrenForEphemeralsError,
    NodeExistsError,
    NoNodeError,
    NotEmptyError,
    RolledBackError,
    RuntimeInconsistency,
)
from kazoo.recipe.cache import TreeCache
from kazoo.recipe.lock import Lock
from kazoo.recipe.election import Election
from kazoo.security import make_acl, make_digest_acl
from kazoo.version import __version__

ADDR, ROOT = sys.argv[1], sys.argv[2]
WAIT = 20


def check(what, got, want):
    if got != want:
        raise AssertionError("%s is %r, want %r" % (what, got, want))


def raises(error, call, *args, **kwargs):
    try:
        got = call(*args, **kwargs)
    except error:
        return
    raise AssertionError("%s%r gave %r, want %s" % (call.__name__, args, got, error.__name__))


class Once(object):
    """A watcher that keeps what it is told and can be waited for."""

    def __init__(self):
        self.events, self.told = [], threading.Event()

    def __call__(self, event):
        self.events.append((event.type, event.path))
        self.told.set()

    def wait(self, *want):
        if not self.told.wait(WAIT):
            raise AssertionError("no event, want %r" % (want,))
        check("events", self.events, [want])


def connect(**more):
    client = KazooClient(hosts=ADDR, timeout=10, **more)
    client.start(timeout=WAIT)
    return client


def create(zk):
    check("path", zk.create(ROOT, b"one"), ROOT)
    raises(NodeExistsError, zk.create, ROOT, b"x")
    raises(NoNodeError, zk.create, ROOT + "/no/parent", b"x")
    check("made path", zk.create(ROOT + "/a/b/c", b"deep", makepath=True), ROOT + "/a/b/c")
    path, stat = zk.create(ROOT + "/two", b"2", include_data=True)
    check("create2", (path, stat.version, stat.dataLength), (ROOT + "/two", 0, 1))


def read(zk):
    data, stat = zk.get(ROOT)
    check("data", data, b"one")
    check("stat", (stat.version, stat.numChildren, stat.cversion, stat.ephemeralOwner), (0, 2, 2, 0))
    check("children", sorted(zk.get_children(ROOT)), ["a", "two"])
    names, stat = zk.get_children(ROOT, include_data=True)
    check("children2", (sorted(names), stat.numChildren), (["a", "two"], 2))
    check("exists", zk.exists(ROOT + "/nothing"), None)
    check("sync", zk.sync(ROOT), ROOT)
    raises(NoNodeError, zk.get, ROOT + "/nothing")


def update(zk):
    check("version", zk.set(ROOT, b"two").version, 1)
    check("data", zk.get(ROOT)[0], b"two")
    raises(BadVersionError, zk.set, ROOT, b"three", version=7)


def delete(zk):
    raises(BadVersionError, zk.delete, ROOT + "/two", version=3)
    zk.delete(ROOT + "/two")
    raises(NoNodeError, zk.delete, ROOT + "/two")
    raises(NotEmptyError, zk.delete, ROOT + "/a")
    zk.delete(ROOT + "/a", recursive=True)
    check("exists", zk.exists(ROOT + "/a"), None)


def ephemeral(zk):
    zk.create(ROOT + "/mine", b"x", ephemeral=True)
    check("owner", zk.exists(ROOT + "/mine").ephemeralOwner, zk.client_id[0])
    raises(NoChildrenForEphemeralsError, zk.create, ROOT + "/mine/child", b"x")
    other = connect()
    other.create(ROOT + "/theirs", b"x", ephemeral=True)
    gone = Once()
    zk.exists(ROOT + "/theirs", watch=gone)
    other.stop()
    other.close()
    gone.wait("DELETED", ROOT + "/theirs")


def sequential(zk):
    zk.create(ROOT + "/seq")
    check("first", zk.create(ROOT + "/seq/n-", b"", sequence=True), ROOT + "/seq/n-0000000000")
    check("next", zk.create(ROOT + "/seq/", b"", sequence=True, ephemeral=True), ROOT + "/seq/0000000001")


def multi(zk):
    done = zk.transaction()
    done.create(ROOT + "/m", b"1")
    done.create(ROOT + "/m/n-", b"", sequence=True)
    done.set_data(ROOT + "/m", b"2")
    done.check(ROOT + "/m", 1)
    done.delete(ROOT + "/m/n-0000000000")
    result = done.commit()
    check("created", result[:2], [ROOT + "/m", ROOT + "/m/n-0000000000"])
    check("set", result[2].version, 1)
    check("checked and deleted", result[3:], [True, True])
    failed = zk.transaction()
    failed.set_data(ROOT + "/m", b"3")
    failed.check(ROOT + "/m", 9)
    failed.delete(ROOT + "/m")
    kinds = [type(r) for r in failed.commit()]
    check("failure", kinds, [RolledBackError, BadVersionError, RuntimeInconsistency])
    check("data", zk.get(ROOT + "/m")[0], b"2")


def acl(zk):
    zk.add_auth("digest", "bob:builder")
    private = make_digest_acl("bob", "builder", all=True)
    zk.create(ROOT + "/private", b"secret", acl=[private])
    check("list", zk.get_acls(ROOT + "/private")[0], [private])
    check("own data", zk.get(ROOT + "/private")[0], b"secret")
    # kazoo sends the empty id of the auth scheme as null
    zk.create(ROOT + "/creator", b"x", acl=[make_acl("auth", "", all=True)])
    check("creator", zk.get_acls(ROOT + "/creator")[0], [private])
    stranger = connect()
    raises(NoAuthError, stranger.get, ROOT + "/private")
    raises(NoAuthError, stranger.set_acls, ROOT + "/private", [make_acl("world", "anyone", all=True)])
    check("version", zk.set_acls(ROOT + "/private", [make_acl("world", "anyone", read=True)]).aversion, 1)
    check("now readable", stranger.get(ROOT + "/private")[0], b"secret")
    raises(InvalidACLError, zk.set_acls, ROOT + "/m", [])
    stranger.stop()
    stranger.close()


def one_shot(zk):
    born, changed, children = Once(), Once(), Once()
    path = ROOT + "/watched"
    check("absent", zk.exists(path, watch=born), None)
    zk.create(path, b"1")
    born.wait("CREATED", path)
    zk.get(path, watch=changed)
    zk.get_children(path, watch=children)
    zk.set(path, b"2")
    changed.wait("CHANGED", path)
    zk.set(path, b"3")
    zk.create(path + "/child")
    children.wait("CHILD", path)
    check("events in all", len(changed.events) + len(born.events) + len(children.events), 3)


def lock(zk):
    first, second = Lock(zk, ROOT + "/lock", "first"), Lock(zk, ROOT + "/lock", "second")
    first.acquire(timeout=WAIT)
    check("held twice", second.acquire(blocking=False), False)
    check("contenders", first.contenders(), ["first"])
    first.release()
    check("handed over", second.acquire(timeout=WAIT), True)
    second.release()


def election(zk):
    led = threading.Event()
    race = Election(zk, ROOT + "/election", "me")
    racer = threading.Thread(target=race.run, args=(led.set,), daemon=True)
    racer.start()
    check("led", led.wait(WAIT), True)
    racer.join(WAIT)


def cache(zk):
    seen = threading.Event()
    tree = TreeCache(zk, ROOT + "/tree")
    tree.listen(lambda event: seen.set() if event.event_data and event.event_data.data == b"leaf" else None)
    tree.start()
    zk.create(ROOT + "/tree/leaf", b"leaf", makepath=True)
    check("seen", seen.wait(WAIT), True)
    check("children", sorted(tree.get_children(ROOT + "/tree")), ["leaf"])
    tree.close()


def restart(zk):
    """The server goes and comes back; kazoo arms no watches again, so it reads."""
    zk.create(ROOT + "/away", b"x")
    session, states, back = zk.client_id, [], threading.Event()

    def listen(state):
        states.append(state)
        if state == KazooState.CONNECTED:
            back.set()

    zk.add_listener(listen)
    print("restart", flush=True)
    sys.stdin.readline()
    check("back", back.wait(WAIT), True)
    # id and password: the server made the latter, and a wrong one would have cost the session
    check("session", zk.client_id, session)
    check("states", [s for s in states if s == KazooState.LOST], [])
    check("owner", zk.exists(ROOT + "/mine").ephemeralOwner, session[0])
    check("data", zk.get(ROOT + "/away")[0], b"changed")


def run(row, what, zk):
    try:
        what(zk)
    except Exception as problem:  # every row is tried, and each tells its own story
        print("failed %s: %s: %s" % (row, type(problem).__name__, problem))
    else:
        print("did %s" % row)


def main():
    zk = connect()
    for row, what in [
        ("create", create),
        ("read", read),
        ("update", update),
        ("delete", delete),
        ("ephemeral", ephemeral),
        ("sequential", sequential),
        ("multi", multi),
        ("ACL", acl),
        ("one-shot watch", one_shot),
        ("lock", lock),
        ("election", election),
        ("cache", cache),
        ("session after a restart", restart),
    ]:
        run(row, what, zk)
    for row in ["container", "TTL"]:
        print("lacks %s: %s creates neither containers nor TTL nodes" % (row, __version__))
    for row in ["persistent watch", "recursive watch"]:
        print("lacks %s: %s has no addWatch" % (row, __version__))
    print("lacks events missed meanwhile: drops its watches when it is cut off and reads again")
    zk.stop()
    zk.close()
    print("done")


main()
