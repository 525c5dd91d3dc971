"""Rate cards: what products cost, over time."""
