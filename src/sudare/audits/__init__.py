"""Which attacks meet which release; runs, findings, gates."""
