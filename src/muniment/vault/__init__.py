"""Keys, envelope encryption and sealed, content-addressed objects.

What the room promises:

1. There is no way to store plaintext: ``Vault.seal`` is the only writer, and a project without a key cannot store.
2. An object is known by the SHA-256 of its plaintext; the name it is stored under is keyed, so that the store shows no
   equality and cannot be probed for a known file.
3. Bytes, key and row belong together: change, swap, cut or append any of them, and the object does not open.
4. What was registered is on the disk; what was not registered is found by ``fsck`` and is safe to remove.
"""
