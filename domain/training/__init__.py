"""What training is asked for. The engine is still to come."""
