"""The figures of DESIGN.md section 9, measured on this machine beside its own limits; nothing here asserts time."""
