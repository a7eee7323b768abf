"""Training where the data are: DP-SGD at each owner, averages at the server, values and payouts."""
