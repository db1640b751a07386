"""What was found out about explained targets, for everybody: reasons, groups, likeness, shipped results."""
