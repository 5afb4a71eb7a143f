"""`chorus audit`: proves on what is stored that the promise was kept, and says of each fault what it means."""
