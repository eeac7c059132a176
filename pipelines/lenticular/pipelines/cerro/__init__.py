"""The simulated survey *cerro*: camera, sky, exposures, and the truth about all of them."""
