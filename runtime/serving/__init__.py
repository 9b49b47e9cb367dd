"""Party 0 for many clients: callers are let in, sessions run side by side, others see how it goes."""
