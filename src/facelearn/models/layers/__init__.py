"""Parts that networks share; they need torch."""
