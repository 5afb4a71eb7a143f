"""The live side of notify: sockets, and what reaches them. PROTOCOL.md beside this file is the contract in examples."""
