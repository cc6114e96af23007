"""Learning: networks, data, training and evaluation. Needs torch; the engine never imports this."""
