"""One study a file: the file, its function and its kept results share one name."""
