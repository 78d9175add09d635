"""What methods return, one module for each noun."""
