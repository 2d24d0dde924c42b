"""Reading files of unknown origin: whatever their bytes are, there is a checked value or one line that says why not."""
