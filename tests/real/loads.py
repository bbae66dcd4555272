"""Real servers, and real clients with their own count of what they did: {"requests": n, "answers": n}.

Every request here is one packet. What a client sends besides, to log in or to choose a database, is counted by the
server's own `requests` where it has such a count.
"""

import os
import pathlib
import pwd
import re

from node import need


# ---- nginx

def nginx(space):
    need("nginx")
    folder = space.node.folder / "nginx"
    (folder / "html").mkdir(parents=True)
    (folder / "html/index.html").write_text("hello\n", encoding="utf-8")
    folder.chmod(0o755)
    space.node.folder.chmod(0o755)
    (folder / "nginx.conf").write_text(f"""
        worker_processes 1; daemon off; pid {folder}/pid; error_log {folder}/error.log;
        events {{ worker_connections 256; }}
        http {{ access_log off; keepalive_requests 1000000; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
            fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
            server {{ listen 80; listen [::]:80; root {folder}/html;
                location = /status {{ stub_status; }} }} }}""", encoding="utf-8")
    return space.serve(80, command=["nginx", "-p", folder, "-e", folder / "error.log", "-c", folder / "nginx.conf"])


def ab(client, host, port):
    need("ab")
    said = client.run("ab", "-q", "-n", 1000, "-c", 1, f"http://{host}:{port}/")
    complete = int(re.search(r"Complete requests:\s+(\d+)", said)[1])
    failed = int(re.search(r"Failed requests:\s+(\d+)", said)[1])
    return {"requests": complete, "answers": complete - failed}


def wrk(client, host, port):
    need("wrk")
    said = client.run("wrk", "-t", 1, "-c", 4, "-d", 3, f"http://{host}:{port}/")
    done = int(re.search(r"(\d+) requests in", said)[1])
    return {"requests": done, "answers": done}


def curl(client, host, port):
    """One connection for each; the shell counts those that succeed."""
    need("curl")
    said = client.run("sh", "-c", "n=0; for i in $(seq 150); do curl -sf -o /dev/null \"$0\" && n=$((n+1)); done; echo $n",
                      f"http://{host}:{port}/", timeout=120)
    return {"requests": 150, "answers": int(said)}


# ---- Redis

def redis(space):
    need("redis-server")
    return space.serve(6379, command=["redis-server", "--port", 6379, "--bind", "0.0.0.0", "--protected-mode", "no", "--save", "",
                                      "--dir", space.node.folder])


def redis_benchmark(client, host, port):
    """Its requests, and the two packets with which it asks for the server's configuration."""
    need("redis-benchmark")
    said = client.run("redis-benchmark", "-h", host, "-p", port, "-n", 5000, "-c", 4, "-t", "get", "--csv")
    if '"GET"' not in said:
        raise RuntimeError(f"redis-benchmark: {said}")
    processed = int(re.search(r"total_commands_processed:(\d+)", client.run("redis-cli", "-h", host, "-p", port, "info", "stats"))[1])
    # The command that asks for the count is not yet counted by it, but has come as well.
    return {"requests": processed + 1, "answers": processed + 1}


# ---- PostgreSQL

def _as_postgres(space, *words):
    return space.run("setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", *words, timeout=120)


def postgresql(space):
    found = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"))
    if not found:
        need("postgres")
    programs, data = found[-1], space.node.folder / "postgresql"
    data.mkdir()
    user = pwd.getpwnam("postgres")
    space.node.folder.chmod(0o755)
    os.chown(data, user.pw_uid, user.pw_gid)
    _as_postgres(space, programs / "initdb", "-D", data, "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C")
    with open(data / "pg_hba.conf", "a", encoding="utf-8") as rules:
        rules.write("host all all 0.0.0.0/0 trust\n")
    server = space.serve(5432, command=["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", programs / "postgres",
                                        "-D", data, "-c", "listen_addresses=*", "-c", f"unix_socket_directories={data}",
                                        "-c", "fsync=off", "-c", "autovacuum=off"])
    _as_postgres(space, programs / "pgbench", "-i", "-q", "-h", data, "-U", "postgres", "postgres")
    space.postgresql = programs
    return server


def pgbench(client, host, port):
    programs = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"))[-1]
    said = client.run(programs / "pgbench", "-n", "-S", "-M", "simple", "-c", 2, "-t", 1500, "-h", host, "-p", port,
                      "-U", "postgres", "postgres", timeout=120)
    done = int(re.search(r"actually processed: (\d+)/", said)[1])
    return {"requests": done, "answers": done}


# ---- DNS

def dnsmasq(space):
    need("dnsmasq")
    return space.serve(53, protocol="udp", command=[
        "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--user=root",
        f"--pid-file={space.node.folder}/dnsmasq.pid", "--address=/real.test/192.0.2.77",
        "--address=/real.test/2001:db8::77", "--dns-forward-max=1000"])


def dns(client, host, port):
    """dig, with a file of questions; it counts its own answers."""
    need("dig")
    questions = client.node.folder / "questions"
    questions.write_text("n1.real.test A\n" * 1000, encoding="utf-8")
    said = client.run("dig", f"@{host}", "-p", port, "+short", "+tries=1", "+time=5", "+nocookie", "-f", questions, timeout=120)
    return {"requests": 1000, "answers": said.count("192.0.2.77")}
