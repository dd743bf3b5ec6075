"""What draws a picture."""
