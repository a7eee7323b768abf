"""What leaves: kinds, cards, safe reading and writing."""
