"""The web page: draw or upload numbers on one's own machine, and read the answer."""
