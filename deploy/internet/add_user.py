"""Adds a user to users.json, or changes one: add_user.py NAME ROLE... The password is asked for, or read from a pipe."""

import getpass, hashlib, json, os, pathlib, secrets, sys

file = pathlib.Path(__file__).parent / "users.json"
name, *roles = sys.argv[1:]
password = getpass.getpass() if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
salt = secrets.token_bytes(16)
users = json.loads(file.read_text()) if file.exists() else {}
users[name] = {"roles": roles, "salt": salt.hex(), "scrypt": hashlib.scrypt(password.encode(), salt=salt, n=2**14, r=8, p=1, dklen=32).hex()}
# A server that reads it meanwhile finds the old file or the new one.
new = file.with_suffix(".new")
new.touch(mode=0o600)
new.write_text(json.dumps(users, indent=1))
os.replace(new, file)
