"""Worker processes: who starts them, what they are told, and how they end."""
