"""What an environment is told once and everyone reads: credit types, services, the clock."""
