"""How every mixture of experts is computed: requests, prices, the choice and what is shown of it."""
