"""The pure core: Raft's Figure 2 and the lease rules, standard library only.

No clock, no random numbers, no threads, no files: `Node.step(input, now)` returns what is to be done. From below to above:
``types messages inputs outputs config views log rules kv guard state answers terms leases replication leadership elections clients node``.
"""
