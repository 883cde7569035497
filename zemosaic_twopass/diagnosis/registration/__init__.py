"""Where tiles lie, by the stars that they share."""
