"""What comes in: orders and stock reports over HTTP and from files."""
