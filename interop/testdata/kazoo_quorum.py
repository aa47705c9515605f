"""A kazoo client of several servers, of which one after the other is killed. Its session must live.

Told "killed", it makes requests until enough were answered, and says "served"; told "end", it looks back.
Reports in lines: see program_test.go.
"""

import logging
import sys
import threading

from kazoo.client import KazooClient, KazooState
from kazoo.retry import KazooRetry

ADDRS, ROOT = sys.argv[1], sys.argv[2]
logging.disable(logging.CRITICAL)


def main():
    lost, back = [], threading.Event()
    retry = KazooRetry(max_tries=-1, delay=0.05, backoff=1, max_delay=0.2)
    zk = KazooClient(hosts=ADDRS, timeout=10, connection_retry=retry, command_retry=retry, randomize_hosts=True)

    def listen(state):
        if state == KazooState.LOST:
            lost.append(state)
        elif state == KazooState.CONNECTED:
            back.set()

    zk.add_listener(listen)
    zk.start(30)
    session = zk.client_id[0]
    zk.retry(zk.create, ROOT, b"0")
    zk.retry(zk.create, ROOT + "/mine", b"x", ephemeral=True)
    print("ready", flush=True)
    written = 0
    for line in sys.stdin:
        if line.strip() == "end":
            break
        for _ in range(50):
            written += 1
            zk.retry(zk.set, ROOT, b"%d" % written)
            data, _ = zk.retry(zk.get, ROOT)
            if int(data) != written:
                print("failed read: %r after %d was written" % (data, written))
        print("served", flush=True)
    if lost or zk.client_id[0] != session:
        print("failed session: 0x%x became 0x%x, lost %d times" % (session, zk.client_id[0], len(lost)))
    stat = zk.retry(zk.exists, ROOT + "/mine")
    if stat is None or stat.ephemeralOwner != session:
        print("failed ephemeral: %r" % (stat,))
    zk.stop()
    zk.close()
    print("done", flush=True)


main()
