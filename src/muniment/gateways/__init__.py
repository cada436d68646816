"""Other people's protocols, each translated into verbs: nothing here decides, everything passes the gate."""
