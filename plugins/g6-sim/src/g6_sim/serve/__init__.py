"""A server on this machine that speaks Kite Connect v3, with the simulator's market or a recorded day behind it."""
