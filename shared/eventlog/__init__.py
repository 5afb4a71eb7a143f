"""The spine: committed events get dense positions in Postgres, and a Redis stream is a replica of them."""
