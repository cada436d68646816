"""Tries to send what it was given to a server that is really listening on this machine."""

import os
import socket

with socket.create_connection((os.environ["SM_HP_HOST"], int(os.environ["SM_HP_PORT"])), timeout=2) as connection:
    connection.sendall(b"the customers' data")
print("sent=1")
