"""The backends that come with the core: memory and SQLite."""
