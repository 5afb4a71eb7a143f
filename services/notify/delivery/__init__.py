"""Mail: the only place that holds an address for longer than a statement takes."""
