#!/usr/bin/python3
"""scry-llama against messages that no core would send: it must answer, refuse or leave, never crash or hang.

    llama_ipc.py MODEL.gguf MMPROJ.gguf [--seconds 600] [--seed N]

The messages are well-formed on the outside (src/wire/proto.h), with any numbers, texts and descriptors inside, and now and
then any bytes at all. Exit status 77 (skipped) without the files. Environment: BUILD, the build folder (build/). Packages: none beyond Python.
"""
import argparse
import array
import fcntl
import mmap
import os
import random
import select
import signal
import socket
import struct
import subprocess
import sys
import time

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
BUILD = os.path.abspath(os.environ.get("BUILD", os.path.join(ROOT, "build")))
MAGIC, VERSION = 0x59524353, 1
FILE, RING, START, DESCRIBE, CANCEL, PING, PROBE, STOP = 1, 2, 3, 6, 7, 8, 9, 10
HELLO, READY, FAILED, DONE, PONG, PROBED, LOG = 64, 65, 66, 71, 72, 73, 74
PAGE, SLOTS, SIDE = 4096, 4, 64
QUIET_S = 60                                        # without a word: it hangs


def head(kind, request, body):
    return struct.pack("=IHHII", MAGIC, VERSION, kind, len(body), request) + body


class Worker:
    """One process, loaded or not."""

    def __init__(self, files, rng):
        self.rng = rng
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket, self.last = ours, None
        lib = os.path.join(BUILD, "runtime", "lib")
        program = [os.path.join(lib, "ld-linux-x86-64.so.2"), "--library-path", lib, os.path.join(BUILD, "scry-llama")]
        # The wire stands on descriptor 3.
        os.set_inheritable(theirs.fileno(), True)
        self.process = subprocess.Popen(
            ["sh", "-c", f'exec 3<&{theirs.fileno()} && exec "$@"', "sh", *program], close_fds=False,
            env={"OMP_NUM_THREADS": "1", "PATH": os.environ["PATH"]}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        theirs.close()
        self.expect({HELLO})
        for kind, path in zip((16, 17), files):
            with open(path, "rb") as file:
                body = struct.pack("=IIQ64s", kind, 0, os.path.getsize(path), os.path.basename(path).encode()[:63])
                self.send(head(FILE, 0, body), file.fileno())
        self.ring()
        self.send(head(START, 0, struct.pack("=II", 1, 0)))

    def ring(self):
        """Pixels in four slots, as slots.c lays them out; what stands in their heads is anyone's."""
        fd = os.memfd_create("ring", os.MFD_ALLOW_SEALING)
        self.ring_bytes = SIDE * SIDE * 3
        size = SLOTS * PAGE + SLOTS * ((self.ring_bytes + PAGE - 1) // PAGE * PAGE)
        os.ftruncate(fd, size)
        with mmap.mmap(fd, size) as memory:
            for slot in range(SLOTS):
                width, height = self.rng.randrange(1, SIDE), self.rng.randrange(1, SIDE)
                generation = self.rng.choice((1, 1, 1, 7))
                fields = struct.pack("=IIIIIIQ", 2, generation, generation, width, height, width * 3, self.rng.getrandbits(64))
                memory[slot * PAGE:slot * PAGE + len(fields)] = fields
                memory[slot * PAGE + len(fields):slot * PAGE + len(fields) + 64] = os.urandom(64)
        fcntl.fcntl(fd, 1033, 2 | 4)                # F_ADD_SEALS: no shrinking, no growing
        self.send(head(RING, 0, struct.pack("=IIQ", 0, SLOTS, self.ring_bytes)), fd)
        os.close(fd)

    def send(self, data, fd=-1):
        control = [] if fd < 0 else [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))]
        try:
            self.socket.sendmsg([data], control)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def read(self, wait):
        """The type of the next message; None: it has left; 0: silence."""
        if not select.select([self.socket], [], [], wait)[0]:
            return 0
        try:
            data = self.socket.recv(8192)
        except ConnectionResetError:
            return None
        return struct.unpack_from("=IHHII", data)[2] if data else None

    def expect(self, kinds):
        while (kind := self.read(QUIET_S)) not in kinds:
            if kind is None:
                return False
            if kind == 0:
                raise RuntimeError("it hangs")
        return True

    def leave(self):
        """How it ended: 0, 1 or 2 by itself; a signal is a crash."""
        self.socket.close()
        try:
            status = self.process.wait(timeout=QUIET_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise RuntimeError("it does not leave") from None
        words = self.process.stderr.read().decode(errors="replace")[-300:]
        self.process.stderr.close()
        if status < 0 and -status != signal.SIGALRM:
            raise RuntimeError(f"signal {-status}: {words}\nthe last question: {self.last}")
        return status


def any_number(rng):
    return rng.choice((0, 1, 2, 3, 7, 15, 16, 255, 65536, 0x7fffffff, 0xffffffff, rng.getrandbits(32)))


def any_text(rng):
    kinds = (b"Describe the image.", b"<__media__>", b"<|im_end|><|im_start|>", b"Yes\nNo", b"a\nb\nc", b"\xff\xfe", b"\0", b"\n\n",
             b'root ::= "a"', b"root ::= [a-z]{1,20}", b"root ::= root", b"x" * 3000, "\U0001f600".encode(), b"")
    return b"".join(rng.choice(kinds) for _ in range(rng.randrange(4)))


def any_describe(rng):
    """A body of DESCRIBE, and what stands in its memfd."""
    prompt, extra = any_text(rng), any_text(rng)
    sizes = (len(prompt), len(extra)) if rng.random() < 0.85 else (any_number(rng), any_number(rng))
    good = rng.random() < 0.7
    slot = (0, rng.randrange(SLOTS), 1) if good else (any_number(rng), any_number(rng), any_number(rng))
    language = b"eng" if rng.random() < 0.9 else bytes(rng.getrandbits(8) for _ in range(63))
    body = struct.pack("=3I5IIIfI64s", *slot, rng.getrandbits(4), rng.choice((0, 1, 5, 20)) if good else any_number(rng),
                       20000, *sizes, rng.choice((0, 0, 1, 2, 3, any_number(rng))), rng.getrandbits(32),
                       rng.choice((0.0, -1.0, 0.5, 1e30, float("nan"), float("inf"))), 0, language)
    return body, prompt + extra


def one_life(files, rng, until):
    """Messages to one worker until it leaves; how many."""
    worker, sent = Worker(files, rng), 0
    loaded = worker.expect({READY, FAILED})
    while loaded and time.time() < until:
        sent += 1
        kind = rng.random()
        if kind < 0.85:
            body, text = any_describe(rng)
            fd = os.memfd_create("prompt") if text or rng.random() < 0.1 else -1
            if fd >= 0:
                os.write(fd, text)
            worker.last = (body, text)
            worker.send(head(DESCRIBE, sent, body), fd)
            if fd >= 0:
                os.close(fd)
            if rng.random() < 0.2:
                time.sleep(rng.random() / 20)
                worker.send(head(CANCEL, sent, b""))
            loaded = worker.expect({DONE, FAILED})
        elif kind < 0.97:
            what = rng.choice((PING, CANCEL, PROBE))
            worker.send(head(what, any_number(rng), b""))
            loaded = what == CANCEL or worker.expect({PONG, PROBED})
        elif kind < 0.985:
            worker.send(head(rng.randrange(80), sent, os.urandom(rng.choice((0, 8, 16, 32, 80, 112)))))
            worker.send(head(PING, 0, b""))
            loaded = worker.expect({PONG})
        else:
            worker.send(os.urandom(rng.randrange(1, 600)))
            loaded = worker.expect({None}) and False
    worker.leave()
    return sent


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("mmproj")
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    if not os.path.exists(options.model) or not os.path.exists(options.mmproj):
        print("no model files")
        return 77
    rng, until, lives, sent = random.Random(options.seed), time.time() + options.seconds, 0, 0
    print(f"seed {options.seed}", flush=True)
    while time.time() < until:
        sent += one_life((options.model, options.mmproj), rng, until)
        lives += 1
    print(f"{sent} messages to {lives} workers in {options.seconds} s: none crashed, none hung")
    return 0


if __name__ == "__main__":
    sys.exit(main())
