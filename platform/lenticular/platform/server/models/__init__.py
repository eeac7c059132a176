"""Questions and answers, as they travel: the contract between server and browser."""
