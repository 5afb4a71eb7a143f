"""`chorus doctor`: looks at the machine, the servers and the log; says what is well, and what to do about the rest."""
