"""Stage `deploy`: runs an integer program on recordings and writes what came out and what the network did."""
