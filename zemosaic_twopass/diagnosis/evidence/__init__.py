"""The numbers that a finding is drawn from."""
