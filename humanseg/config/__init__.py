"""Settings and profiles in a TOML file, with the line that each came from."""
