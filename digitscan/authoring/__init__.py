"""Forms made and tried: new ones drafted and printed, blank cheques, filled ones for a stress test."""
