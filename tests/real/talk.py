#!/usr/bin/env python3
"""A small server and a small client, which count what they do.

    talk.py serve --port P [--udp] [--behaviour echo|closes-first|resets|keeps-unread|peeks|delays|deaf]
    talk.py ask HOST PORT [--requests N] [--connections C] [--udp] ...

A request is one packet, and so is its answer; there is no second request before the answer to the first. So the count
is the number of packets with data each way.
"""

import argparse
import json
import signal
import socket
import struct
import sys
import threading
import time

SIZE = 64


def is_six(host):
    return ":" in host


def exactly(connection, size):
    data = b""
    while len(data) < size:
        more = connection.recv(size - len(data))
        if not more:
            return data
        data += more
    return data


def talk_with(connection, options):
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with connection:
        if options.behaviour == "deaf":
            time.sleep(3600)
        while True:
            if options.behaviour == "peeks":
                connection.recv(SIZE, socket.MSG_PEEK)
            request = connection.recv(options.read)
            if not request:
                return
            if options.delay:
                time.sleep(options.delay)
            connection.sendall(request[:SIZE])
            if options.behaviour == "closes-first":
                return
            if options.behaviour == "resets":
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return
            if options.behaviour == "keeps-unread":
                time.sleep(0.02)  # the second request comes, and is never read
                return


def serve(options):
    family = socket.AF_INET6 if is_six(options.address) else socket.AF_INET
    if options.udp:
        while True:
            with socket.socket(family, socket.SOCK_DGRAM) as server:
                server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                server.bind((options.address, options.port))
                for _ in range(options.reopen or 10**9):
                    if options.behaviour == "peeks":
                        server.recvfrom(2048, socket.MSG_PEEK)
                    request, peer = server.recvfrom(2048)
                    server.sendto(request, peer)
    with socket.socket(family, socket.SOCK_STREAM) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((options.address, options.port))
        server.listen(options.backlog)
        if options.behaviour == "never-accepts":
            time.sleep(3600)
        while True:
            connection, _ = server.accept()
            threading.Thread(target=talk_with, args=(connection, options), daemon=True).start()


def ask(options):
    family = socket.AF_INET6 if is_six(options.host) else socket.AF_INET
    answers = lost = late = 0
    worst = 0.0
    begun = time.monotonic()
    for number in range(options.connections):
        if options.udp:
            with socket.socket(family, socket.SOCK_DGRAM) as client:
                client.settimeout(2)
                client.connect((options.host, options.port))
                for _ in range(options.requests):
                    client.send(b"x" * SIZE)
                    try:
                        client.recv(2048)
                        answers += 1
                    except OSError:
                        lost += 1
            continue
        with socket.create_connection((options.host, options.port), timeout=30) as client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for _ in range(options.requests):
                start = time.monotonic()
                client.sendall(b"x" * SIZE)
                if options.no_answer:
                    continue
                if options.half_close:
                    client.shutdown(socket.SHUT_WR)
                if len(exactly(client, SIZE)) == SIZE:
                    answers += 1
                worst = max(worst, time.monotonic() - start)
                if options.pause:
                    time.sleep(options.pause)
            if options.one_more:
                try:
                    client.sendall(b"y" * SIZE)
                    time.sleep(0.05)
                except OSError:
                    late += 1
            if options.wait_for_end:
                try:
                    client.recv(1)
                except OSError:
                    pass
            if options.reset:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            if options.stay:
                time.sleep(options.stay)
        if options.between:
            time.sleep(options.between)
    asked = options.connections * options.requests
    print(json.dumps({"requests": asked, "answers": answers, "lost": lost, "connections": options.connections,
                      "worst_ns": int(worst * 1e9), "seconds": time.monotonic() - begun}))
    return 0 if answers == asked or options.no_answer or lost else 1


def main():
    parser = argparse.ArgumentParser()
    actions = parser.add_subparsers(dest="action", required=True)
    server = actions.add_parser("serve")
    server.add_argument("--port", type=int, required=True)
    server.add_argument("--address", default="0.0.0.0")
    server.add_argument("--udp", action="store_true")
    server.add_argument("--behaviour", default="echo")
    server.add_argument("--delay", type=float, default=0)
    server.add_argument("--read", type=int, default=SIZE)
    server.add_argument("--backlog", type=int, default=512)
    server.add_argument("--reopen", type=int, default=0, help="a new socket after so many datagrams")
    client = actions.add_parser("ask")
    client.add_argument("host")
    client.add_argument("port", type=int)
    client.add_argument("--requests", type=int, default=1)
    client.add_argument("--connections", type=int, default=1)
    client.add_argument("--udp", action="store_true")
    client.add_argument("--pause", type=float, default=0)
    client.add_argument("--between", type=float, default=0)
    client.add_argument("--stay", type=float, default=0)
    for flag in ("half-close", "reset", "wait-for-end", "one-more", "no-answer"):
        client.add_argument("--" + flag, action="store_true")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    return serve(options) if options.action == "serve" else ask(options)


if __name__ == "__main__":
    sys.exit(main())
