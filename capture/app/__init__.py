"""The command line (typer lives here and nowhere else)."""
