"""Read-only checks of a deployed stage: is what runs what was deployed, and does it answer as it should."""
