"""What a live picture looks like, and what it takes to draw it."""
