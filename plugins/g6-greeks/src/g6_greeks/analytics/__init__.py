"""A module per analytic: from a snapshot to arrays, through the pure functions, and back."""
