"""The simulated market: instruments, hours, prices, synthetic and recorded days."""
