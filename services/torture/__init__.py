"""The torture of Chorus: real processes, a community that writes, clients that prove, and faults that must have fired.

Nothing here imports the feed, notify or the event log: clients and oracle know the contracts' text, and SQL.
"""
