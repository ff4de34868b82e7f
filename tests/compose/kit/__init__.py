"""What the tests of the containers use."""
