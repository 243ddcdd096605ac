"""The same games by the rules of several programs: random play here, replayed there, then compared."""
